"""A driver of pretended GPUs in place of nvidia-ml-py, named as the module is."""

SOURCE = """
import types

class NVMLError(Exception):
    pass

GPUS = {gpus!r}  # uuid, name, total and free MiB, load

def nvmlInit():
    pass

nvmlShutdown = nvmlInit

def nvmlDeviceGetCount():
    return len(GPUS)

def nvmlDeviceGetHandleByIndex(index):
    return index

def nvmlDeviceGetHandleByUUID(uuid):
    uuids = [gpu[0] for gpu in GPUS]
    if uuid not in uuids:
        raise NVMLError
    return uuids.index(uuid)

def nvmlDeviceGetUUID(handle):
    return GPUS[handle][0]

def nvmlDeviceGetName(handle):
    return GPUS[handle][1]

def nvmlDeviceGetMemoryInfo(handle):
    total, free = GPUS[handle][2:4]
    return types.SimpleNamespace(total=total * 2**20, free=free * 2**20)

def nvmlDeviceGetUtilizationRates(handle):
    if GPUS[handle][4] is None:
        raise NVMLError
    return types.SimpleNamespace(gpu=GPUS[handle][4])
"""


def install(folder, monkeypatch, gpus):
    """Let this process and those it starts find these GPUs; `folder` holds the module."""
    import importlib.util
    import sys

    from core.training import devices

    (folder / "pynvml.py").write_text(SOURCE.format(gpus=gpus))
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    spec = importlib.util.spec_from_file_location("pynvml", folder / "pynvml.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setitem(sys.modules, "pynvml", module)
    monkeypatch.setattr(devices, "pynvml", module)
