"""The only place that builds the parts, joins them, and starts and stops them in order.

Start: data folder → port → store → engine → service → adapters. Stop: no new connections
→ no new work → running jobs are finished or left to the next start → adapters → engine →
store. The store comes last because it is where everything unfinished is kept. While the
engine starts, which may take minutes, the platforms are shown their tokens.

A platform that says no (a wrong token) stops the start at once with its sentence. One that
cannot be reached just now keeps nothing else down: its adapter goes on trying, ``/healthz``
names it, and its unfinished jobs wait for it.
"""

from __future__ import annotations

import asyncio
import fcntl
import uuid
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from bot import admin_sentences, checkpoints, checks, sentences, terminal
from bot.checks import CheckError
from bot.clock import utc_now
from bot.desk import Desk
from bot.discord.adapter import DiscordAdapter
from bot.discord.checks import DiscordCheckError
from bot.discord.checks import check as check_application
from bot.discord.client import REAL_API_BASE
from bot.discord.config import CardKind, DiscordConfig
from bot.discord.errors import DiscordStartError
from bot.gatekeeper import WordGate
from bot.jobs import Platform
from bot.limits import levels_of, rules_of, strike_limit_of
from bot.moderation import Moderator
from bot.monitor import Monitor
from bot.service import DEFAULT_ROOM, Service
from bot.settings import SettingsError
from bot.store.errors import IllegalMoveError, StoreError
from bot.store.store import Store
from bot.studio import Studio
from bot.terminal import TerminalDelivery
from bot.vitals import VitalsReader
from bot.web.admin import AdminPages
from bot.web.config import WebConfig
from bot.web.keeping import Keeper
from bot.web.monitoring import MonitoringPages
from bot.web.server import WebAdapter, WebPortError, reserve_port
from bot.web.sessions import Passwords
from bot.x.adapter import XAdapter, XKeysError
from bot.x.checks import XCheckError
from bot.x.checks import check as check_account
from bot.x.config import REAL_API_BASE as REAL_X_BASE
from bot.x.config import XConfig
from bot.x.prices import Prices
from engine.api import CheckpointError, EngineError
from engine.client import EngineProcess
from engine.devices import devices_of
from engine.pool import EnginePool
from engine.probe import look_at

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncGenerator, Callable, Generator
    from datetime import datetime
    from pathlib import Path

    from pydantic import SecretStr

    from bot.jobs import Job
    from bot.observer import Observer
    from bot.settings import Settings
    from engine.api import Drawing, Drawn, DrawRequest, Engine, Queued

GRACE_S: Final = 20.0

# Enough that the engine never waits for the store; all other jobs wait there, in fair order.
ROOM_PER_SLOT: Final = 3


class DataDirError(Exception):
    """The data folder cannot be used; the sentence says why."""


START_ERRORS: Final = (
    CheckError,
    CheckpointError,
    DataDirError,
    DiscordCheckError,
    DiscordStartError,
    EngineError,
    SettingsError,
    StoreError,
    WebPortError,
    XCheckError,
    XKeysError,
)
"""What can go wrong on the way up; each one's text is a sentence for the admin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Core:
    """What every platform needs: the truth, the one flow, and what goes on with pictures."""

    engine: Engine
    store: Store
    service: Service
    studio: Studio
    desk: Desk


async def run(
    settings: Settings,
    *,
    announce: Callable[[str], None],
    engine: Engine | None = None,
    clock: Callable[[], datetime] = utc_now,
) -> None:
    """Run the bot until this task is cancelled; then stop in order.

    Args:
        settings: What the admin chose.
        announce: Told in a few sentences what runs and what does not.
        engine: Draws instead of an engine process of our own.
        clock: Gives the present (aware, UTC).

    Raises:
        Exception: One of ``START_ERRORS``.
    """
    configs = _platform_configs(settings)
    async with AsyncExitStack() as parts:
        parts.enter_context(only_bot_in(settings.data_dir))
        port = parts.enter_context(reserve_port(settings.web_host, settings.web_port))
        announce(sentences.TERMINAL_STARTING)
        monitor = Monitor(clock=clock, history=settings.data_dir / "minutes.json")
        core = await _open_core(parts, settings, engine, clock, observer=monitor.observer)
        adapters = _build_adapters(configs, core, port, clock, monitor)
        keeper = keeper_of(settings, clock)
        core.desk.on_erase(keeper)
        parts.push_async_callback(keeper.close)
        parts.push_async_callback(monitor.close)
        await _start_engine(parts, core.engine, adapters)
        keeper.start()
        monitor.start(_reader_of(configs, core, adapters, clock))
        await _start_adapters(parts, core.service, adapters)
        _announce(announce, adapters)
        await asyncio.Event().wait()


async def draw(
    settings: Settings,
    request: DrawRequest,
    output: Path,
    *,
    singles_dir: Path | None = None,
    show: Callable[[Queued | Drawing], None],
    engine: Engine | None = None,
    clock: Callable[[], datetime] = utc_now,
) -> Drawn:
    """Draw for the person at this terminal, by the same flow and quota as everywhere.

    Cancelled, it gives the request up and the quota back.

    Raises:
        RefusedError: Nothing was accepted.
        NoPicturesError: It was accepted but not drawn or not written.
        Exception: One of ``START_ERRORS``.
    """
    _make_data_dir(settings.data_dir)
    async with AsyncExitStack() as parts:
        own_name = f"terminal-{uuid.uuid4()}"  # others may draw at the same time
        core = await _open_core(parts, settings, engine, clock, worker=own_name)
        await core.engine.start()
        delivery = TerminalDelivery(show, clock)
        core.service.register(Platform.TERMINAL, delivery)
        await core.service.start()
        try:
            drawn = await terminal.draw(core.service, delivery, request, output, singles_dir)
        except asyncio.CancelledError:
            await core.service.close(0)
            await _give_up(core.store, delivery.job, clock())
            raise
        finally:
            await core.service.close(GRACE_S)
        return drawn


async def _give_up(store: Store, job: Job | None, now: datetime) -> None:
    if job is not None:
        with suppress(IllegalMoveError):  # it was finished in the last moment
            await store.abandon(job.id, reason="given up at the terminal", now=now)


async def migrate(settings: Settings) -> None:
    """Create the database or bring it to the newest schema.

    Raises:
        DataDirError: The data folder cannot be used.
        StoreError: The database cannot be used.
    """
    async with _opened_store(settings):
        pass


async def check_database(settings: Settings) -> str:
    """The same, and tell which database it is and how much waits in it.

    Raises:
        DataDirError: The data folder cannot be used.
        StoreError: The database cannot be used.
    """
    async with _opened_store(settings) as store:
        loads = await store.overview.loads()
    kind = "SQLite" if settings.store_url.startswith("sqlite") else "PostgreSQL"
    return admin_sentences.database_checked(kind, sum(load.job_count for load in loads))


def check_weights(settings: Settings) -> str:
    """See whether the model's files are there.

    Raises:
        CheckpointError: Some are not.
    """
    return checks.look_at_weights(settings.engine_checkpoint, settings.data_dir)


async def check_devices(settings: Settings) -> str:
    """See what JAX finds behind each device that is set.

    Raises:
        EngineError: One of them cannot be used.
    """
    names = dict.fromkeys(settings.engine_device_names)
    return ", ".join([await look_at(device) for device in devices_of(list(names))])


def check_disk(settings: Settings) -> str:
    """See whether the data folder has room.

    Raises:
        DataDirError: It cannot be used.
        CheckError: It is nearly full, or too small for what the limits allow.
    """
    _make_data_dir(settings.data_dir)
    growth_bytes = None
    if settings.database_url is None:
        growth_bytes = checks.growth_of(
            settings.data_dir / "imagine.db",
            daily_count=settings.bot_daily_pictures,
            kept_days=settings.history_days,
        )
    return checks.look_at_disk(settings.data_dir, growth_bytes=growth_bytes)


async def check_clock(settings: Settings) -> str:
    """Compare the clock with that of a platform that is set up.

    Raises:
        CheckError: It is wrong.
    """
    configs = _platform_configs(settings)
    addresses = [
        *([configs.discord.api_base or REAL_API_BASE] if configs.discord else []),
        *([configs.x.api_base or REAL_X_BASE] if configs.x else []),
    ]
    return await checks.look_at_clock(addresses, utc_now)


async def check_discord(settings: Settings) -> str:
    """See whether Discord accepts the token and the bot is installed as it must be.

    Raises:
        SettingsError: The settings of Discord cannot be right.
        DiscordStartError: Discord does not accept the token, or cannot be reached.
        DiscordCheckError: The install settings lack something.
    """
    config = _platform_configs(settings).discord
    return admin_sentences.DISCORD_CHECK_OFF if config is None else await check_application(config)


@asynccontextmanager
async def desk_beside(
    settings: Settings, clock: Callable[[], datetime] = utc_now
) -> AsyncGenerator[tuple[Store, Desk]]:
    """The desk for a command, whether the bot runs or not: both use the same database.

    Raises:
        DataDirError: The data folder cannot be used.
        StoreError: The database cannot be used.
    """
    async with _opened_store(settings) as store:
        desk = Desk(store, clock=clock, tiers=settings.tiers)
        desk.on_erase(keeper_of(settings, clock))
        yield store, desk


@asynccontextmanager
async def _opened_store(settings: Settings) -> AsyncGenerator[Store]:
    _make_data_dir(settings.data_dir)
    store = await Store.open(settings.store_url)
    try:
        yield store
    finally:
        await store.close()


def keeper_of(settings: Settings, clock: Callable[[], datetime] = utc_now) -> Keeper:
    """What forgets the page's files."""
    return Keeper(_pictures_dir(settings), kept_for=_kept_for(settings), clock=clock)


def _kept_for(settings: Settings) -> timedelta | None:
    return timedelta(settings.history_days) if settings.history_days else None


def _pictures_dir(settings: Settings) -> Path:
    return settings.data_dir / "pictures"


def check_x(settings: Settings) -> str:
    """See whether X accepts the keys and sends what is needed, without posting.

    Raises:
        SettingsError: The settings of X cannot be right.
        XKeysError: X does not accept the keys.
        XCheckError: Something else stands in the way.
    """
    config = _platform_configs(settings).x
    return sentences.X_CHECK_OFF if config is None else asyncio.run(check_account(config))


@contextmanager
def only_bot_in(data_dir: Path) -> Generator[None]:
    """Make the data folder and keep other bots out of it: two would finish the same jobs.

    Raises:
        DataDirError: It cannot be made or another bot is there.
    """
    _make_data_dir(data_dir)
    with (data_dir / "imagine.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # ends with the process
        except BlockingIOError:
            raise DataDirError(sentences.data_dir_in_use(str(data_dir))) from None
        yield


def _make_data_dir(data_dir: Path) -> None:
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        (data_dir / "imagine.lock").touch()
    except OSError as error:
        reason = error.strerror or str(error)
        raise DataDirError(sentences.data_dir_unusable(str(data_dir), reason)) from error


async def _open_core(
    parts: AsyncExitStack,
    settings: Settings,
    engine: Engine | None,
    clock: Callable[[], datetime],
    *,
    worker: str | None = None,
    observer: Observer | None = None,
) -> Core:
    engine = engine or engine_of(settings)
    store = await Store.open(settings.store_url)
    parts.push_async_callback(store.close)
    parts.push_async_callback(engine.close)
    service = Service(
        store=store,
        engine=engine,
        clock=clock,
        rules=rules_of(settings),
        gatekeeper=WordGate(
            moderator=Moderator(),
            levels=levels_of(settings),
            strikes=store.people,
            limit=strike_limit_of(settings),
            observer=observer,
            clock=clock,
        ),
        worker=worker or settings.worker_name,
        room=max(DEFAULT_ROOM, ROOM_PER_SLOT * settings.engine_slots),
        history_kept_for=_kept_for(settings),
        observer=observer,
    )
    return Core(
        engine=engine,
        store=store,
        service=service,
        studio=Studio(store=store, engine=engine, observer=observer, clock=clock),
        desk=Desk(store, clock=clock, tiers=settings.tiers, canceller=service),
    )


def engine_of(settings: Settings) -> Engine:
    """One engine process for each device, and a pool of them if they are several."""
    folder = checkpoints.complete_folder_of(settings.engine_checkpoint, settings.data_dir)
    processes = [
        EngineProcess(
            checkpoint_dir=folder,
            slot_count=settings.engine_slots,
            cache_dir=settings.data_dir / "compiled",
            dtype=settings.engine_dtype,
            picture_check=settings.picture_check,
            device=device,
        )
        for device in devices_of(settings.engine_device_names)
    ]
    return processes[0] if len(processes) == 1 else EnginePool(processes)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Configs:
    """What each platform is told; ``None`` leaves it off."""

    web: WebConfig
    discord: DiscordConfig | None
    x: XConfig | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Adapters:
    """The platforms that are on."""

    web: WebAdapter
    discord: DiscordAdapter | None
    x: XAdapter | None

    @property
    def remote(self) -> list[DiscordAdapter | XAdapter]:
        """Those that want to see a token."""
        return [adapter for adapter in (self.discord, self.x) if adapter is not None]

    @property
    def all(self) -> list[DiscordAdapter | XAdapter | WebAdapter]:
        """In the order of their starts. The page comes last: who sees it may use everything."""
        return [*self.remote, self.web]


def _platform_configs(settings: Settings) -> _Configs:
    try:
        return _Configs(
            web=_web_config(settings),
            discord=_discord_config(settings),
            x=_x_config(settings),
        )
    except ValueError as error:
        raise SettingsError([str(error)]) from error


def _web_config(settings: Settings) -> WebConfig:
    return WebConfig(
        pictures_dir=_pictures_dir(settings),
        passwords=Passwords(
            page=_text(settings.web_password), admin=_text(settings.web_admin_password)
        ),
        trusted_proxies=settings.trusted_networks,
    )


def _discord_config(settings: Settings) -> DiscordConfig | None:
    if settings.discord_token is None:
        return None
    return DiscordConfig(
        token=settings.discord_token.get_secret_value(),
        api_base=settings.discord_api_base,
        gateway_url=settings.discord_gateway_url,
        card=CardKind(settings.discord_card),
    )


def _x_config(settings: Settings) -> XConfig | None:
    api_key = _text(settings.x_api_key)
    api_secret = _text(settings.x_api_secret)
    token = _text(settings.x_access_token)
    token_secret = _text(settings.x_access_token_secret)
    if not (api_key and api_secret and token and token_secret):
        return None
    return XConfig(
        api_key=api_key,
        api_secret=api_secret,
        access_token=token,
        access_token_secret=token_secret,
        api_base=settings.x_api_base,
        poll_interval_s=settings.x_poll_interval_s,
        daily_usd=settings.x_daily_usd,
        prices=Prices.parse(settings.x_prices_usd),
        posts_per_15_min=settings.x_posts_per_15_min,
        posts_per_3_h=settings.x_posts_per_3_h,
        ignored_ids=frozenset(settings.x_ignored_ids.replace(",", " ").split()),
    )


def _text(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()


def _build_adapters(
    configs: _Configs,
    core: Core,
    port: socket.socket,
    clock: Callable[[], datetime],
    monitor: Monitor,
) -> _Adapters:
    service, store = core.service, core.store
    discord = configs.discord and _discord_adapter(configs.discord, core, monitor, clock)
    x = configs.x and XAdapter(configs.x, service, store, store.x, clock=clock)

    def waiting_for() -> list[str]:
        platforms = {"discord": discord, "x": x}
        return [name for name, adapter in platforms.items() if adapter and not adapter.is_listening]

    pages = [
        MonitoringPages(monitor),
        AdminPages(
            desk=core.desk,
            waiting=store.overview,
            pictures=core.studio,
            monitor=monitor,
            clock=clock,
        ),
    ]
    web = WebAdapter(
        configs.web,
        service,
        core.studio,
        port=port,
        clock=clock,
        waiting_for=waiting_for,
        pages=pages,
    )
    return _Adapters(web=web, discord=discord, x=x)


def _reader_of(
    configs: _Configs, core: Core, on: _Adapters, clock: Callable[[], datetime]
) -> VitalsReader:
    adapters = {"discord": on.discord, "x": on.x}
    return VitalsReader(
        engine=core.engine,
        store=core.store,
        clock=clock,
        is_paused=core.desk.is_paused,
        platforms=lambda: {
            name: adapter.is_listening for name, adapter in adapters.items() if adapter
        },
        x_daily_usd=None if configs.x is None else configs.x.daily_usd,
    )


async def _start_engine(parts: AsyncExitStack, engine: Engine, on: _Adapters) -> None:
    """Start it, and log in meanwhile: whoever mistyped a token need not wait for a model."""
    for adapter in on.all:
        parts.push_async_callback(adapter.close)
    try:
        async with asyncio.TaskGroup() as all_at_once:
            all_at_once.create_task(engine.start(), name="engine start")
            for adapter in on.remote:
                all_at_once.create_task(adapter.log_in(), name="log in")
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from None  # the others were ended because of it


async def _start_adapters(parts: AsyncExitStack, service: Service, on: _Adapters) -> None:
    """Take up unfinished jobs, then listen. ``parts`` undoes it from the last to the first."""
    service.register(Platform.WEB, on.web)
    if on.discord is not None:
        service.register(Platform.DISCORD, on.discord.delivery)
    if on.x is not None:
        service.register(Platform.X, on.x)
    # A start that fails leaves the jobs it took up at once: nobody could be given pictures.
    parts.push_async_callback(service.close, 0)
    await service.start()
    for adapter in on.all:
        await adapter.start()
    parts.push_async_callback(service.close, GRACE_S)
    parts.push_async_callback(on.web.stop_listening)


def _discord_adapter(
    config: DiscordConfig, core: Core, monitor: Monitor, clock: Callable[[], datetime]
) -> DiscordAdapter:
    return DiscordAdapter(
        config,
        service=core.service,
        cursors=core.store,
        studio=core.studio,
        desk=core.desk,
        heard=monitor.metrics,
        clock=clock,
    )


def _announce(announce: Callable[[str], None], on: _Adapters) -> None:
    announce(sentences.page_runs(on.web.url))
    announce(_discord_sentence(on.discord))
    announce(_x_sentence(on.x))


def _discord_sentence(discord: DiscordAdapter | None) -> str:
    if discord is None:
        return sentences.DISCORD_IS_OFF
    return sentences.DISCORD_RUNS if discord.is_listening else sentences.DISCORD_WAITS


def _x_sentence(x: XAdapter | None) -> str:
    if x is None:
        return sentences.X_IS_OFF
    return sentences.X_RUNS if x.is_connected else sentences.X_WAITS
