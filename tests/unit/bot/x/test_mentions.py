from __future__ import annotations

from typing import Any

import pytest

from bot.store.x_states import NewMention
from bot.x.api import Account
from bot.x.mentions import UnreadablePostError, newest_version, read_mention, reply_target_ids

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
    return read_mention(post(text, "imagine_bot", **fields), ME).prompt


def objection(post: dict[str, Any]) -> str | None:
    return read_mention(post, ME).ignored_because


def replied_to(post_id: str) -> list[dict[str, str]]:
    return [{"type": "replied_to", "id": post_id}]


def test_a_post_that_begins_with_the_name_is_a_request() -> None:
    assert read_mention(post("@imagine_bot a red cube", "imagine_bot"), ME) == NewMention(
        root_id=1001,
        latest_id=1001,
        author_id="7",
        conversation_id="1001",
        answers_id=None,
        prompt="a red cube",
        command=None,
        ignored_because=None,
    )


def test_a_name_that_x_put_in_front_of_an_answer_is_no_request() -> None:
    text = "@imagine_bot @bob thanks, nice"
    answer = post(
        text,
        "imagine_bot",
        "bob",
        visible_from=18,
        in_reply_to_user_id="42",
        referenced_tweets=replied_to("900"),
    )

    assert objection(answer) == "implicit"


def test_a_name_written_in_an_answer_to_somebody_else_is_a_request() -> None:
    answer = post(
        "@bob @imagine_bot a cat",
        "bob",
        "imagine_bot",
        visible_from=5,
        in_reply_to_user_id="9",
        referenced_tweets=replied_to("900"),
    )

    mention = read_mention(answer, ME)

    assert (mention.prompt, mention.answers_id, mention.ignored_because) == ("a cat", 900, None)


@pytest.mark.parametrize(
    ("word", "is_heard"), [("stop", True), ("Delete.", True), ("help", False), ("start", False)]
)
def test_in_a_plain_answer_to_the_bot_only_stop_and_delete_are_heard(
    word: str, *, is_heard: bool
) -> None:
    answer = post(
        f"@imagine_bot {word}",
        "imagine_bot",
        visible_from=13,
        in_reply_to_user_id="42",
        referenced_tweets=replied_to("900"),
    )

    assert objection(answer) == (None if is_heard else "implicit")


def test_stop_said_to_somebody_else_is_none_of_the_bots_business() -> None:
    answer = post(
        "@bob @imagine_bot stop",
        "bob",
        "imagine_bot",
        visible_from=18,
        in_reply_to_user_id="9",
        referenced_tweets=replied_to("900"),
    )

    assert objection(answer) == "implicit"


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("@imagine_bot stop", "stop"),
        ("@imagine_bot  STOP!!", "stop"),
        ("@imagine_bot \u201chelp\u201d", "help"),
        ("@imagine_bot delete https://t.co/AbC", "delete"),
        ("@imagine_bot a stop sign", None),
        ("@imagine_bot", None),
    ],
)
def test_a_mention_of_nothing_but_a_control_word_is_one(text: str, command: str | None) -> None:
    assert read_mention(post(text, "imagine_bot"), ME).command == command


def test_a_photo_tag_without_the_name_in_the_text_is_no_request() -> None:
    assert objection(post("look at this")) == "implicit"


def test_the_bots_own_posts_retweets_and_other_bots_are_no_requests() -> None:
    own = post("@imagine_bot a cat", "imagine_bot", author_id="42")
    retweet = post(
        "RT @bob: @imagine_bot a cat",
        "bob",
        "imagine_bot",
        referenced_tweets=[{"type": "retweeted", "id": "5"}],
    )
    robot = read_mention(
        post("@imagine_bot a cat", "imagine_bot"), ME, ignored_ids=frozenset({"7"})
    )

    assert (objection(own), objection(retweet), robot.ignored_because) == (
        "self",
        "retweet",
        "known_bot",
    )


def test_an_edited_post_keeps_its_first_id_and_is_answered_at_its_newest() -> None:
    edited = post("@imagine_bot a cat", "imagine_bot", edit_history_tweet_ids=["1001", "1005"])

    mention = read_mention(edited, ME)

    assert (mention.root_id, mention.latest_id) == (1001, 1005)
    assert newest_version(edited) == 1005


def test_the_newer_names_of_the_fields_are_read_too() -> None:
    renamed = post("@imagine_bot a cat", "imagine_bot", edit_history_post_ids=["1000", "1001"])
    del renamed["edit_history_tweet_ids"]

    assert read_mention(renamed, ME).root_id == 1000
    assert reply_target_ids({"referenced_posts": [{"type": "replied_to", "id": "3"}]}) == {3}


def test_an_answer_that_does_not_say_what_it_answers_is_unreadable() -> None:
    answer = post("@bob @imagine_bot a cat", "bob", "imagine_bot", visible_from=5)

    with pytest.raises(UnreadablePostError, match="referenced_tweets or referenced_posts"):
        read_mention(answer, ME)


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

    assert read_mention(long_post, ME).prompt.endswith("very very long")


def test_an_implicit_name_in_a_long_answer_is_no_request() -> None:
    whole = "@imagine_bot @bob thanks " + "very " * 80 + "much"
    long_post = post(
        whole[:100],
        "imagine_bot",
        in_reply_to_user_id="42",
        referenced_tweets=replied_to("900"),
        note_tweet={"text": whole, "entities": named(whole, "imagine_bot", "bob")},
    )

    assert objection(long_post) == "implicit"


def test_a_range_that_cuts_through_words_is_not_believed() -> None:
    odd = post(
        "@bob @imagine_bot a cat",
        "bob",
        "imagine_bot",
        visible_from=20,
        referenced_tweets=replied_to("900"),
    )

    assert objection(odd) == "implicit"


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
