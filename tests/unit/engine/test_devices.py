from __future__ import annotations

import pytest

from engine.devices import Device, devices_of


def test_auto_leaves_the_choice_to_jax() -> None:
    (device,) = devices_of(["auto"])

    assert device == Device(name="auto", cpu_ids=None)
    assert device.environment == {}


def test_a_graphics_card_is_the_only_one_that_its_process_sees() -> None:
    first, second = devices_of(["gpu:0", "gpu:11"])

    assert first.environment == {"JAX_PLATFORMS": "cuda", "CUDA_VISIBLE_DEVICES": "0"}
    assert second.environment == {"JAX_PLATFORMS": "cuda", "CUDA_VISIBLE_DEVICES": "11"}
    assert (first.cpu_ids, second.cpu_ids) == (None, None)


def test_one_process_on_the_processor_has_all_of_it() -> None:
    (device,) = devices_of(["cpu"], cpu_ids=range(8))

    assert device.environment == {"JAX_PLATFORMS": "cpu"}
    assert device.cpu_ids is None


@pytest.mark.parametrize(
    ("core_count", "process_count", "shares"),
    [
        (5, 2, [(0, 1), (2, 3)]),
        (4, 2, [(0, 1), (2, 3)]),
        (3, 3, [(0,), (1,), (2,)]),
        (2, 3, [(0,), (1,), (0,)]),
    ],
)
def test_several_processes_share_the_cores_out(
    core_count: int, process_count: int, shares: list[tuple[int, ...]]
) -> None:
    devices = devices_of(["cpu"] * process_count, cpu_ids=range(core_count))

    assert [device.cpu_ids for device in devices] == shares


@pytest.mark.parametrize("name", ["", "tpu", "gpu", "gpu:", "gpu:x", "cpu:0", "CPU"])
def test_what_is_no_device_is_no_device(name: str) -> None:
    with pytest.raises(ValueError, match="is no device"):
        devices_of([name])
