"""The GPUs of a machine, by a driver that is not there."""

from core.training import devices
from tests.core.training import fake_nvml


def test_gpus_are_numbered_as_torch_numbers_them(tmp_path, monkeypatch):
    gpus = [("GPU-aa", "Small", 8192, 1024, 90), ("GPU-bb", "Large", 81920, 81920, None)]
    fake_nvml.install(tmp_path, monkeypatch, gpus)
    assert [str(device) for device in devices.gpus()] == [
        "cuda:0: Small, 8 GiB, 1 free",
        "cuda:1: Large, 80 GiB, 80 free",
    ]
    assert devices.resolve("auto") == "cuda:0"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,GPU-aa")
    assert [device.title for device in devices.gpus()] == ["Large", "Small"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert devices.resolve("auto") == "cpu"
    assert [device.name for device in devices.devices()] == ["cpu"]


def test_without_a_driver_there_is_no_gpu(monkeypatch):
    def fail():
        raise devices.pynvml.NVMLError_LibraryNotFound

    monkeypatch.setattr(devices.pynvml, "nvmlInit", fail)
    assert devices.gpus() == [] and devices.load_of("1234") is None
    assert devices.resolve("auto") == "cpu"
