"""Is there an NVIDIA GPU, and can this torch use it? If not: what is wrong and what to install. Knows nothing about training.

`look()` collects facts about the machine, `diagnose()` interprets them, `accelerator()` does both once per process.
"""

import functools
import os
import re
import shutil
import subprocess
import warnings
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

# Major version of CUDA -> the oldest driver that runs its builds, on Linux. A build of any minor version runs on it.
# Source: docs.nvidia.com/deploy/cuda-compatibility/minor-version-compatibility.html, table 1.
LEAST_DRIVER = {11: 450, 12: 525, 13: 580}
# The oldest cards that a current torch is built for, and the CUDA of these builds.
# Source: PYTORCH_RELEASES_CODE_CC in torch/cuda/__init__.py of torch 2.14.
OLDEST_CAPABILITY, OLDEST_CUDA = (5, 0), "cu126"
LEAST_FREE = 512 * 2**20  # bytes, with CUDA's context in already; a round number above what the smallest recipes hold
NVIDIA_SMI = ("nvidia-smi", "/usr/lib/wsl/lib/nvidia-smi")  # WSL keeps its own out of the path
SMI_TIMEOUT_S = 5.0  # a driver in trouble can hold it for minutes
NVIDIA = "0x10de"  # PCI vendor
INSTALL = "uv pip install --reinstall --torch-backend {} torch torchvision"


@dataclass(frozen=True)
class Facts:
    """What a machine and its torch say about NVIDIA GPUs.

    Attributes:
        torch: its version.
        cuda: the CUDA version that it was built for, as in "13.0"; "" for a build without CUDA.
        architectures: what it was built for, as in "sm_75" (machine code) or "compute_90" (PTX).
        available: whether torch sees a GPU.
        count: how many it sees.
        message: what torch said when it tried to use it, in one line; "" if it said nothing.
        hidden: the environment variable that hides the GPUs, with its value, or "".
        on_bus: whether the machine has an NVIDIA card on its PCI bus.
        driver: version of the loaded driver, as in "535.104.05", or "".
        passed_in: whether the driver's devices are in /dev; in a container only if it was given a GPU.
        name: of the card.
        capability: the card's compute capability, or None if unknown.
        free, total: bytes of its memory, or None.
    """

    torch: str = ""
    cuda: str = ""
    architectures: tuple[str, ...] = ()
    available: bool = False
    count: int = 0
    message: str = ""
    hidden: str = ""
    on_bus: bool = False
    driver: str = ""
    passed_in: bool = False
    name: str = ""
    capability: tuple[int, int] | None = None
    free: int | None = None
    total: int | None = None


@dataclass(frozen=True)
class Accelerator:
    """Whether this machine's GPU can be used and, if not, why and what to do.

    Attributes:
        usable: whether training can run on it.
        problem: why not, as the end of a sentence; "" if usable.
        remedy: what to do about it, as a sentence without its period; "" if there is nothing to fix.
        facts: what this is based on.
    """

    usable: bool
    problem: str = ""
    remedy: str = ""
    facts: Facts = field(default_factory=Facts)

    @property
    def passed_over(self) -> str:
        """For people who left the choice of device to the app: that a GPU is not used, why, and what to do.

        "" if there is nothing to say.
        """
        if self.usable or not self.remedy:
            return ""
        return f"Training runs on the CPU because the GPU cannot be used: {self.problem}. {self.remedy}."

    @property
    def refusal(self) -> str:
        """For people who asked for the GPU: the end of a sentence that begins with its name. "" if usable."""
        if self.usable:
            return ""
        return f"cannot be used: {self.problem}. {self.remedy or 'Choose auto or cpu'}"


def diagnose(facts: Facts) -> Accelerator:
    """What the facts mean. Pure."""
    problem = _unseen(facts) if not facts.available else _seen(facts)
    return Accelerator(problem is None, *(problem or ("", "")), facts)


def _unseen(facts: Facts) -> tuple[str, str]:
    """Torch sees no GPU -> the problem, and the remedy."""
    if facts.hidden:
        return f"{facts.hidden} hides this machine's GPUs", ""
    if not (facts.driver or facts.on_bus):
        return "this machine has no NVIDIA GPU", ""
    card = facts.name or "the NVIDIA GPU"
    if not facts.cuda:
        return (
            f"torch {facts.torch} is built without CUDA, but {card} needs it",
            f"Install a build with CUDA ({INSTALL.format('auto')}), then restart",
        )
    needed = LEAST_DRIVER.get(int(facts.cuda.split(".")[0]))
    if not facts.driver:
        return f"no NVIDIA driver is loaded for {card}", f"Install NVIDIA's driver{f', version {needed} or newer' if needed else ''}"
    if not facts.passed_in:
        return (
            f"NVIDIA's driver {facts.driver} is loaded, but no GPU is visible in /dev",
            "If this is a container, start it with its GPU (docker run --gpus all); else load the module nvidia",
        )
    if (needed and _major(facts.driver) < needed) or "too old" in facts.message:
        return (
            f"NVIDIA's driver {facts.driver} is too old for torch {facts.torch} with CUDA {facts.cuda}"
            + (f", which needs {needed} or newer" if needed else ""),
            f"Update the driver, or install a torch that fits it ({INSTALL.format('auto')}), then restart",
        )
    return (
        f"torch {facts.torch} with CUDA {facts.cuda} does not find {card}{f' ({facts.message})' if facts.message else ''}",
        "See whether nvidia-smi lists it; after an update of the driver, restart the machine",
    )


def _seen(facts: Facts) -> tuple[str, str] | None:
    """Torch sees a GPU -> the problem and the remedy, or None if it can be used."""
    card = facts.name or "the GPU"
    if "out of memory" in facts.message or (facts.free is not None and facts.free < LEAST_FREE):
        left = "" if facts.free is None or facts.total is None else f" ({facts.free / 2**30:.1f} of {facts.total / 2**30:.1f} GiB free)"
        return f"{card} has no memory left{left}", "End the programs that use it (nvidia-smi lists them), then restart the app"
    if facts.capability and facts.cuda and not runs_on(facts.capability, facts.architectures):
        return _no_code(facts.capability, card, facts)
    if facts.message:
        return f"{card} does not work ({facts.message})", "Check it with nvidia-smi, and restart the machine if that reports an error"
    return None


def _no_code(capability: tuple[int, int], card: str, facts: Facts) -> tuple[str, str]:
    """This torch has no code for the card -> the problem, and the remedy."""
    major, minor = capability
    built_for = " ".join(facts.architectures) or "no architecture"
    problem = f"{card} has compute capability {major}.{minor}, and torch {facts.torch} is built for {built_for}"
    if capability < OLDEST_CAPABILITY:
        return problem, f"It needs a card of compute capability {OLDEST_CAPABILITY[0]}.{OLDEST_CAPABILITY[1]} or newer"
    older = capability < min((code for kind, code, _ in _codes(facts.architectures) if kind == "sm"), default=(0, 0))
    return problem, f"Install a build that has it ({INSTALL.format(OLDEST_CUDA if older else 'auto')}), then restart"


def _codes(architectures: tuple[str, ...]) -> list[tuple[str, tuple[int, int], str]]:
    """("sm_75", "sm_90a", "compute_90") -> (kind, compute capability, letter); anything else is left out."""
    matches = (re.fullmatch(r"(sm|compute)_(\d+)(\d)([a-z]?)", text) for text in architectures)
    return [(match[1], (int(match[2]), int(match[3])), match[4]) for match in matches if match]


def runs_on(capability: tuple[int, int], architectures: tuple[str, ...]) -> bool:
    """Whether code for these architectures runs on a card of this compute capability.

    Machine code runs on cards of its own major version and the same or a higher minor one, PTX on any newer card. With a letter
    after it ("sm_90a") it runs on that exact capability only; with an f, on its family. Source: CUDA C++ Programming Guide, Compute
    Capability.
    """
    for kind, code, letter in _codes(architectures):
        if letter == "a":
            fits = code == capability
        elif kind == "sm" or letter == "f":
            fits = code[0] == capability[0] and code[1] <= capability[1]
        else:
            fits = code <= capability
        if fits:
            return True
    return False


@functools.cache
def accelerator(index: int = 0) -> Accelerator:
    """The state of the GPU with this number, checked once per process."""
    accelerator = diagnose(look(index))
    if not accelerator.usable:  # we have said it in our own words; torch would repeat it at each check
        warnings.filterwarnings("ignore", message=r"(?s)CUDA initialization|.*(compute|CUDA) capability", category=UserWarning)
    return accelerator


def look(index: int = 0) -> Facts:
    """The facts about this machine and the GPU with this number. Never raises. Creates a CUDA context if there is a GPU."""
    facts = Facts(str(torch.__version__), torch.version.cuda or "", hidden=_hidden(), on_bus=_on_bus())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        available = torch.cuda.is_available()
        facts = replace(facts, available=available, driver=_driver(), passed_in=any(Path("/dev").glob("nvidia[0-9]*")))
        facts = _try_out(facts, index) if available else _ask_driver(facts)
    # If torch has no code for a card, its capability says so. Warnings matter only if torch sees no card.
    if not facts.message and not available and caught:
        facts = replace(facts, message=_line(caught[0].message))
    return facts


def _try_out(facts: Facts, index: int) -> Facts:
    """Adds what torch says about a card, and computes something on it."""
    try:
        facts = replace(facts, count=torch.cuda.device_count())
        facts = replace(facts, architectures=tuple(torch.cuda.get_arch_list()), name=torch.cuda.get_device_name(index))
        facts = replace(facts, capability=torch.cuda.get_device_capability(index))
        free, total = torch.cuda.mem_get_info(index)
        facts = replace(facts, free=free, total=total)
        torch.ones(1, device=f"cuda:{index}").add_(1).cpu()
    except (RuntimeError, AssertionError) as error:
        return replace(facts, message=_line(error))
    return facts


def _ask_driver(facts: Facts) -> Facts:
    """Adds what nvidia-smi says about a card that torch does not see."""
    program = next((found for name in NVIDIA_SMI if (found := shutil.which(name))), None)
    if not program:
        return facts
    command = [program, "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, encoding="utf-8", errors="replace", timeout=SMI_TIMEOUT_S, check=True
        )
        name, driver = done.stdout.splitlines()[0].split(",")
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):  # it has no answer: other facts decide
        return facts
    return replace(facts, name=name.strip(), driver=driver.strip(), passed_in=True)


def _hidden() -> str:
    """Whether someone hid the GPUs on purpose. CUDA ignores all numbers from the first -1 on; container runtimes take void and none."""
    for variable in ("CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES"):
        value = os.environ.get(variable)
        if value is not None and (value.strip().lower() in ("", "void", "none", "nodevfiles") or value.startswith("-1")):
            return f"{variable}={value}"
    return ""


def _on_bus() -> bool:
    """Whether Linux lists an NVIDIA display controller (PCI class 03)."""
    for vendor in Path("/sys/bus/pci/devices").glob("*/vendor"):
        try:
            if vendor.read_text(encoding="utf-8").strip() == NVIDIA and vendor.with_name("class").read_text(encoding="utf-8").startswith(
                "0x03"
            ):
                return True
        except OSError:
            continue
    return False


def _driver() -> str:
    """The loaded kernel module's version, as in "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat Aug 19"; ""."""
    try:
        text = Path("/proc/driver/nvidia/version").read_text(encoding="utf-8")
    except OSError:
        return ""
    match = re.search(r"Kernel Module\D*?(?:x86_64|aarch64)?\s+(\d+(?:\.\d+)+)", text)
    return match[1] if match else ""


def _major(version: str) -> int:
    digits = re.match(r"\d+", version)
    return int(digits[0]) if digits else 0


def _line(message: object) -> str:
    """The first line of a message from torch, without its place in torch's source."""
    lines = str(message).strip().splitlines() or [type(message).__name__]
    return lines[0].split(" (Triggered internally")[0].rstrip(". ")[:200]
