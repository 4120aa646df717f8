from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.x_world import CREATE, OWN_POSTS, Fault, late

if TYPE_CHECKING:
    import pytest

    from tests.support.x_line import Line


async def test_a_reply_that_x_makes_after_the_last_look_is_told_as_a_double(
    line: Line, caplog: pytest.LogCaptureFixture
) -> None:
    """The one thing that cannot be prevented; the world notes it as our misdeed all the same."""
    line.world.forbids_duplicates = False
    line.world.fail(CREATE, late(Fault(kind="html", status=504), 3_000))
    # Time passes in steps no longer than a poll, also while the call is under way: three looks
    # come long before the reply does.
    async with line.running(poll_interval_s=5.0):
        post_id = line.world.mention("ada", "@imagine_bot a red cube")
        await line.time.until(lambda: len(line.world.replies_to(post_id)) == 2)

    async with line.running(poll_interval_s=3600.0, sweep_interval_s=3600.0):
        await line.time.until(lambda: "x mention answered twice" in caplog.text)

    ids = [str(reply.id) for reply in line.world.replies_to(post_id)]
    assert f"root_id={post_id} reply_ids={ids[::-1]}" in caplog.text
    assert line.world.violations == [f"a second reply to {post_id}"]
    line.world.violations.clear()


async def test_a_day_without_doubt_costs_no_sweep(line: Line) -> None:
    async with line.running(poll_interval_s=3600.0):
        post_id = line.world.mention("ada", "@imagine_bot a red cube")
        await line.time.until(lambda: line.world.replies_to(post_id))

    async with line.running(poll_interval_s=3600.0, sweep_interval_s=3600.0):
        await line.time.for_hours(5)

    assert OWN_POSTS not in line.world.calls
