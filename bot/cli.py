"""The command line: run · draw · check · fetch · bench · migrate · admin.

What goes wrong is told in one sentence on stderr. The exit status is 0 when it worked, 1
when it did not, 2 when it was asked for wrongly (also by a setting), 130 when it was
given up.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar, cast

import typer
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from bot import checkpoints, sentences, telemetry
from bot.clock import utc_now
from bot.commands.admin import admin
from bot.commands.bench import bench as measure
from bot.commands.bench import introduce
from bot.commands.console import complain, err, out, say
from bot.jobs import InvalidRuleError, RefusedError
from bot.output import OutputError, check_grid, check_singles, output_for
from bot.report import report_json, report_words
from bot.settings import Settings, SettingsError, read_settings
from bot.terminal import NoPicturesError
from engine.api import Drawing, DrawRequest, InvalidRequestError, SamplingOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from engine.api import Drawn, Queued

    T = TypeVar("T")

FAILED: Final = 1
ASKED_WRONGLY: Final = 2
GIVEN_UP: Final = 130

# Every mistake in words and options; typer names only its subclasses in public.
_USAGE_ERROR: Final[type[Exception]] = typer.BadParameter.__bases__[0]

app = typer.Typer(
    name="imagine",
    help="Turns sentences into pictures: on Discord, on X, on a local page and right here.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.add_typer(admin, name="admin")


class StoppedError(Exception):
    """A signal asked the process to end, and it has."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status.

    Args:
        arguments: The words after ``imagine``; by default those of this process.
    """
    try:
        return app(arguments, standalone_mode=False, prog_name="imagine") or 0
    except _USAGE_ERROR as error:
        return complain(_usage(error), ASKED_WRONGLY)
    except (SettingsError, InvalidRequestError, InvalidRuleError, OutputError) as error:
        return complain(str(error), ASKED_WRONGLY)
    except StoppedError:
        return GIVEN_UP
    except Exception as error:  # noqa: BLE001 # the last border: a person reads what is left
        return complain(_sentence(error), FAILED)


@app.callback(invoke_without_command=True)
def _help(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        out.print(context.get_help(), markup=False)


@app.command()
def run() -> int:
    """Run the bot and its page until Ctrl+C or SIGTERM."""
    from bot import app as parts  # noqa: PLC0415 # --help need not wait for every library

    settings = read_settings()
    telemetry.configure_logging(settings.log_level)
    try:
        _until_signal(parts.run(settings, announce=say))
    except StoppedError:
        say(sentences.TERMINAL_STOPPED)
    return 0


@app.command()
def draw(
    prompt: Annotated[str, typer.Argument(help="What to draw, in a few words.")],
    *,
    pictures: Annotated[int, typer.Option("--pictures", "-n", help="How many, 1 to 16.")] = 9,
    seed: Annotated[int | None, typer.Option(help="Draws the same pictures again.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file to write: .png, .webp or .jpg.")
    ] = None,
    singles: Annotated[
        Path | None,
        typer.Option("--all", metavar="DIR", help="A folder for each picture by itself."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Tell the outcome as JSON.")] = False,
    temperature: Annotated[float | None, typer.Option(help="Above 1 is wilder.")] = None,
    top_k: Annotated[int | None, typer.Option(help="Choose among so many tokens.")] = None,
    top_p: Annotated[float | None, typer.Option(help="Choose among this share.")] = None,
    condition_scale: Annotated[
        float | None, typer.Option(help="How closely to follow the words.")
    ] = None,
) -> int:
    """Draw pictures of PROMPT and write them, best first, in one file."""
    options = SamplingOptions(
        temperature=temperature, top_k=top_k, top_p=top_p, condition_scale=condition_scale
    )
    request = DrawRequest(prompt=_text(prompt), picture_count=pictures, seed=seed, options=options)
    grid = output or output_for(prompt, Path())
    check_grid(grid.absolute())
    if singles is not None:
        check_singles(singles.absolute(), pictures, grid.absolute())
    settings = read_settings()
    telemetry.configure_logging("DEBUG" if settings.log_level == "DEBUG" else "CRITICAL")
    drawn = _drawn(settings, request, grid.absolute(), singles and singles.absolute())
    if as_json:
        report_json(out, drawn, request, grid, singles)
    else:
        report_words(out, drawn, grid, singles)
    return 0


@app.command()
def check() -> int:
    """See whether everything here is usable, one line each.

    The exit status is 1 if something is not, and 2 if it is the settings. Looks at settings,
    database (and brings it up to date), weights, device, the token, install link and permissions
    on Discord, the account on X (for about a cent), disk and clock. Posts nothing.
    """
    from bot import app as parts  # noqa: PLC0415 # --help need not wait for every library

    try:
        settings = read_settings()
    except SettingsError as error:
        for problem in error.problems:
            complain(f"settings  {problem}", ASKED_WRONGLY)
        return ASKED_WRONGLY  # without them there is nothing else to look at
    telemetry.configure_logging("DEBUG" if settings.log_level == "DEBUG" else "CRITICAL")
    out.print("settings  ok")
    looks: dict[str, Callable[[], object]] = {
        "database": lambda: asyncio.run(parts.check_database(settings)),
        "weights": lambda: parts.check_weights(settings),
        "device": lambda: asyncio.run(parts.check_devices(settings)),
        "discord": lambda: asyncio.run(parts.check_discord(settings)),
        "x": lambda: parts.check_x(settings),
        "disk": lambda: parts.check_disk(settings),
        "clock": lambda: asyncio.run(parts.check_clock(settings)),
    }
    return max([_look(name, look) for name, look in looks.items()])


@app.command()
def fetch(
    source: Annotated[
        str,
        typer.Argument(
            help="mini, mega, wandb:ENTITY/PROJECT/NAME:VERSION, or a gs:// or s3:// folder."
        ),
    ],
    *,
    to: Annotated[
        Path | None, typer.Option(help="The folder to fill; by default one in DATA_DIR.")
    ] = None,
) -> int:
    """Fetch real weights, as far as they are not here, and verify them."""
    settings = read_settings()
    try:
        value = checkpoints.fetch(source, to, data_dir=settings.data_dir, console=err)
    except KeyboardInterrupt:
        return complain(sentences.FETCH_STOPPED, GIVEN_UP)
    say(sentences.checkpoint_fetched(value))
    return 0


@app.command()
def bench(
    *,
    runs: Annotated[int, typer.Option(help="Times each request is drawn.", min=1, max=100)] = 3,
    load: Annotated[
        bool, typer.Option("--load/--no-load", help="Also draw 40 requests at once.")
    ] = True,
) -> int:
    """Measure how fast the configured model draws on this machine.

    Prints a start (from the cache of compiled programs, or the first one), 1, 4 and 9 pictures
    alone, and the pictures a minute under a load. Stop a running bot first: both would
    share the device.
    """
    from bot import app as parts  # noqa: PLC0415 # --help need not wait for every library

    settings = read_settings()
    telemetry.configure_logging("WARNING")
    with parts.only_bot_in(settings.data_dir):
        engine = parts.engine_of(settings)
        introduce(settings)
        try:
            _until_signal(measure(engine, run_count=runs, has_load=load))
        except StoppedError:
            return complain(sentences.TERMINAL_STOPPED, GIVEN_UP)
    return 0


@app.command()
def migrate() -> int:
    """Create the database or bring it to the newest schema. `run` does it too."""
    from bot import app as parts  # noqa: PLC0415 # --help need not wait for every library

    asyncio.run(parts.migrate(read_settings()))
    out.print("The database is up to date.")
    return 0


def _drawn(settings: Settings, request: DrawRequest, grid: Path, singles_dir: Path | None) -> Drawn:
    """Draw with a progress bar."""
    from bot import app as parts  # noqa: PLC0415 # --help need not wait for every library

    quiet = not err.is_terminal
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    with Progress(*columns, TimeElapsedColumn(), console=err, transient=True, disable=quiet) as bar:
        task = bar.add_task("loading", total=None)

        def show(event: Queued | Drawing) -> None:
            bar.update(task, description=sentences.terminal_progress(event))
            if isinstance(event, Drawing):
                bar.update(task, total=1.0, completed=event.fraction)

        work = parts.draw(settings, request, grid, singles_dir=singles_dir, show=show)
        return _until_signal(work)


def _look(name: str, look: Callable[[], object]) -> int:
    try:
        found = look()
    except Exception as error:  # noqa: BLE001 # each look is told about, whatever it finds
        return complain(f"{name:9} {_sentence(error)}", FAILED)
    detail = f": {found}" if isinstance(found, str) else ""
    out.print(f"{name:9} ok{detail}", markup=False)
    return 0


def _until_signal(work: Coroutine[Any, Any, T]) -> T:
    """Run ``work``; SIGINT or SIGTERM cancels it, and it stops in order.

    Raises:
        StoppedError: It was cancelled.
    """
    try:
        return asyncio.run(_cancelled_by_signals(work))
    except asyncio.CancelledError:
        raise StoppedError from None


async def _cancelled_by_signals(work: Coroutine[Any, Any, T]) -> T:
    task = asyncio.ensure_future(work)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    return await task


def _text(prompt: str) -> str:
    """Refuse bytes that were no text in this terminal."""
    try:
        prompt.encode()
    except UnicodeEncodeError as error:
        raise InvalidRequestError(sentences.TERMINAL_NO_TEXT) from error
    return prompt


def _sentence(error: Exception) -> str:
    """Say what went wrong; an error that nobody foresaw goes to the log as well."""
    from bot import app as parts  # noqa: PLC0415 # --help need not wait for every library

    if isinstance(error, RefusedError):
        return sentences.explain(error, utc_now())
    if isinstance(error, (*parts.START_ERRORS, NoPicturesError)):
        return str(error)
    logging.getLogger(__name__).debug("unforeseen", exc_info=error)
    return sentences.terminal_bug(type(error).__name__)


def _usage(error: Exception) -> str:
    what: str = cast("Any", error).format_message()
    end = "" if what.endswith("?") else "."
    return f"{what.rstrip('.')}{end} Try imagine --help, or imagine draw --help."
