"""Commands of ``imagine`` that are more than a few lines; ``bot.cli`` joins them."""
