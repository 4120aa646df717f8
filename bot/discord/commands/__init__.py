"""The commands: what a person can type or choose on Discord, and what becomes of it.

Each module defines some of them in the tree; ``Clerk`` takes every use of one in the same
way, and ``naming`` gives them their names in every language.
"""
