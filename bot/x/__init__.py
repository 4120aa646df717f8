"""X, formerly Twitter: a mention of the account is answered with pictures, once.

The path of a mention, one file a step:

1. ``polling`` asks X for mentions and stores every one of them (``bot.store.x_records``) in
   the transaction that says how far was read; ``walks`` pages, ``mentions`` reads a post.
2. ``intake`` looks at what is stored, authors taking turns: pictures (a job of the service),
   a sentence, a control word that is obeyed ("stop", "start", "delete", "help"), or nothing.
3. The service draws and hands the pictures to ``adapter.XAdapter.deliver``; ``pictures``
   makes the grid fit, ``replies`` says what is posted.
4. ``outbox`` posts: upload, alt text, commit the attempt, post, note the end. After a lost
   answer it waits for ``looks`` at the account's own posts before it tries again.

Around it: ``client`` is X through tweepy behind the port ``api``; ``verdicts`` says what each
answer of X means; ``gates`` holds calls back (rate limits, windows, pauses, money), and nothing
else waits for X; ``prices`` counts the money; ``sweep`` looks once a day whether anything was
answered twice after all; ``checks`` is ``imagine check``.

How a mention may go from state to state is drawn in ``bot.store.x_states``. All that matters
is in those tables: a process that dies anywhere is carried on by the next one.
"""
