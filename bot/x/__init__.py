"""X, formerly Twitter: a mention of the account is answered with pictures."""
