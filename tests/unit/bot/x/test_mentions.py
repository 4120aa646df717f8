from __future__ import annotations

from typing import Any

import pytest

from bot.x.api import Account
from bot.x.mentions import Mention, UnreadablePostError, read_mention, reply_target_ids

ME = Account(id="42", username="imagine_bot")


def named(text: str, *names: str) -> dict[str, Any]:
    ids = {"imagine_bot": "42"}
    return {
        "mentions": [
            {
                "start": text.casefold().index(f"@{name}".casefold()),
                "end": text.casefold().index(f"@{name}".casefold()) + len(name) + 1,
                "username": name,
                "id": ids.get(name, f"id-{name}"),
            }
            for name in names
        ]
    }


def post(text: str, *names: str, visible_from: int = 0, **fields: Any) -> dict[str, Any]:
    return {
        "id": "1001",
        "text": text,
        "author_id": "7",
        "display_text_range": [visible_from, len(text)],
        "edit_history_tweet_ids": ["1001"],
        "entities": named(text, *names),
        **fields,
    }


def prompt_of(text: str, **fields: Any) -> str:
    mention = read_mention(post(text, "imagine_bot", **fields), ME)
    assert mention is not None
    return mention.prompt


def test_a_post_that_begins_with_the_name_is_a_request() -> None:
    assert read_mention(post("@imagine_bot a red cube", "imagine_bot"), ME) == Mention(
        id="1001", root_id="1001", author_id="7", prompt="a red cube"
    )


def test_a_name_that_x_put_in_front_of_an_answer_is_no_request() -> None:
    text = "@imagine_bot @bob thanks, nice"
    answer = post(text, "imagine_bot", "bob", visible_from=18, in_reply_to_user_id="42")

    assert read_mention(answer, ME) is None


def test_a_name_written_in_an_answer_to_somebody_else_is_a_request() -> None:
    text = "@bob @imagine_bot a cat"
    answer = post(text, "bob", "imagine_bot", visible_from=5, in_reply_to_user_id="9")

    assert read_mention(answer, ME) == Mention(
        id="1001", root_id="1001", author_id="7", prompt="a cat"
    )


def test_a_photo_tag_without_the_name_in_the_text_is_no_request() -> None:
    assert read_mention(post("look at this"), ME) is None


def test_the_bots_own_posts_and_retweets_are_no_requests() -> None:
    own = post("@imagine_bot a cat", "imagine_bot", author_id="42")
    retweet = post(
        "RT @bob: @imagine_bot a cat",
        "bob",
        "imagine_bot",
        referenced_tweets=[{"type": "retweeted", "id": "5"}],
    )

    assert read_mention(own, ME) is None
    assert read_mention(retweet, ME) is None


def test_an_edited_post_keeps_its_first_id_and_is_answered_at_its_newest() -> None:
    edited = post("@imagine_bot a cat", "imagine_bot", edit_history_tweet_ids=["1001", "1005"])

    mention = read_mention(edited, ME)

    assert mention is not None
    assert (mention.root_id, mention.id) == ("1001", "1005")


def test_the_newer_names_of_the_fields_are_read_too() -> None:
    renamed = post("@imagine_bot a cat", "imagine_bot", edit_history_post_ids=["1000", "1001"])
    del renamed["edit_history_tweet_ids"]

    mention = read_mention(renamed, ME)

    assert mention is not None
    assert mention.root_id == "1000"
    assert reply_target_ids({"referenced_posts": [{"type": "replied_to", "id": "3"}]}) == {"3"}


@pytest.mark.parametrize("missing", ["author_id", "display_text_range", "edit_history_tweet_ids"])
def test_a_post_without_a_field_that_decides_is_unreadable(missing: str) -> None:
    incomplete = post("@imagine_bot a cat", "imagine_bot")
    del incomplete[missing]

    with pytest.raises(UnreadablePostError, match=missing):
        read_mention(incomplete, ME)


def test_a_text_that_names_the_bot_but_lists_no_names_is_unreadable() -> None:
    incomplete = post("@Imagine_Bot a cat")
    del incomplete["entities"]

    with pytest.raises(UnreadablePostError, match="entities"):
        read_mention(incomplete, ME)


def test_a_long_post_is_read_whole() -> None:
    whole = "@imagine_bot a cat, " + "very " * 80 + "long"
    long_post = post(
        whole[:100] + "…",
        "imagine_bot",
        note_tweet={"text": whole, "entities": named(whole, "imagine_bot")},
    )

    mention = read_mention(long_post, ME)

    assert mention is not None
    assert mention.prompt.endswith("very very long")


def test_an_implicit_name_in_a_long_answer_is_no_request() -> None:
    whole = "@imagine_bot @bob thanks " + "very " * 80 + "much"
    long_post = post(
        whole[:100],
        "imagine_bot",
        in_reply_to_user_id="42",
        note_tweet={"text": whole, "entities": named(whole, "imagine_bot", "bob")},
    )

    assert read_mention(long_post, ME) is None


def test_a_range_that_cuts_through_words_is_not_believed() -> None:
    odd = post("@bob @imagine_bot a cat", "bob", "imagine_bot", visible_from=20)

    assert read_mention(odd, ME) is None


@pytest.mark.parametrize(
    ("text", "prompt"),
    [
        ("@imagine_bot a red cube", "a red cube"),
        ("please @Imagine_Bot draw\n\n a  cube", "please draw a cube"),
        ("@imagine_bot salt &amp; pepper &lt;3", "salt & pepper <3"),
        ("@imagine_bot a cat https://t.co/AbC123", "a cat"),
        ("@imagine_bot a cat for @bob and #friends", "a cat for and #friends"),
        ("@imagine_bot mail me@example.com", "mail me@example.com"),
        ("@imagine_bot cafe\u0301 au lait", "caf\u00e9 au lait"),
        ("@imagine_bot \U0001f408 with @bob", "\U0001f408 with"),
        ("@imagine_bot a\x00 cat \ud83d", "a cat"),
        ("@imagine_bot", ""),
        ("@imagine_bot https://t.co/AbC123", ""),
    ],
)
def test_a_prompt_is_what_is_left_without_names_and_links(text: str, prompt: str) -> None:
    assert prompt_of(text) == prompt
