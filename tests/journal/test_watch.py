"""`bringup watch`: nothing from outside is lost, the alarm comes when it is true, hooks leave no trace."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.cases._make.machine import Made
from tests.cases._make.machines import NIGHT, healthy, morning
from tests.journal.writing import place_in, verified
from tests.stubs.command_line import Home, argv, run_cli

from bringup.actions.diagnosis.doctor import examine
from bringup.actions.journal.reading import with_journal
from bringup.actions.log import watch, watch_hooks
from bringup.actions.log.timeline import read_timeline
from bringup.journal.entry import Kind
from bringup.journal.store import Journal
from bringup.machine.folders import Folders
from bringup.machine.recorded import RecordedMachine


def machine_of(made: Made, folder: Path) -> RecordedMachine:
    made.write(folder, origin="made", expected=())
    return RecordedMachine(str(folder))


def test_the_alarm_names_both_versions_and_what_to_do(tmp_path: Path) -> None:
    found = examine(machine_of(morning(), tmp_path / "m"), subject="m")
    words = watch.alarm_words(found)
    assert "570.169" in words
    assert "570.172.08" in words
    assert "Restart before the next GPU program" in words
    assert "running ones go on" in words
    assert watch.alarm_words(examine(machine_of(healthy(), tmp_path / "h"), subject="h")) == ""


def test_what_the_system_wrote_is_kept_once_and_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bringup.machine.clock.wall_s", lambda: 1_752_600_000.0)
    place = place_in(tmp_path)
    made = healthy()
    made.text("/var/log/apt/history.log", NIGHT)
    machine = machine_of(made, tmp_path / "m")
    n_kept, trouble = watch.keep_outside(place, machine)
    assert (n_kept, trouble) == (3, "")
    assert watch.keep_outside(place, machine) == (0, "")
    entries, _ = with_journal(place, lambda journal: journal.entries(kinds=(Kind.CHANGE,)))
    assert [entry.data["package"] for entry in entries or []][:1] == ["libnvidia-compute-570"]
    timeline = read_timeline(place, machine, since_s=None, layer=None, last=50)
    packages = [item for item in timeline.items if item.kind == "package"]
    assert len(packages) == 3
    assert all(item.seq and item.who.startswith("unattended") for item in packages)
    # The log was rotated away: the journal still knows.
    later = machine_of(healthy(), tmp_path / "later")
    kept = read_timeline(place, later, since_s=None, layer="userspace", last=50)
    assert [item.package for item in kept.items] == ["libnvidia-compute-570", "nvidia-utils-570"]
    assert verified(place).problems == ()


def test_one_look_needs_no_gpu_and_keeps_the_exit_code(own_home: Path) -> None:
    home = Home(own_home)
    done = run_cli(home, "watch")
    assert done.returncode == 0
    assert re.search(r"\d+ new things", done.stderr)
    assert run_cli(home, "watch", "--after-upgrade").stdout == ""


def installed(home: Home) -> dict[str, str]:
    folder = home.path / ".config/systemd"
    return {
        str(path.relative_to(folder)): os.readlink(path) if path.is_symlink() else path.read_text()
        for path in sorted(folder.rglob("*"))
        if not path.is_dir()
    }


def test_hooks_are_shown_asked_for_installed_and_removed_without_a_trace(
    own_home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(watch_hooks, "APT_HOOK", str(tmp_path / "apt.conf.d/99bringup-watch"))
    home = Home(own_home)
    before = sorted(str(path) for path in own_home.rglob("*"))
    hooks = watch_hooks.plan_hooks(has_apt=True, has_systemd=True)
    assert sorted(str(path) for path in own_home.rglob("*")) == before
    kept = [hook for hook in hooks.files if not hook.needs_root]
    watch_hooks.install(watch_hooks.Hooks(tuple(kept), hooks.links, ()))
    there = installed(home)
    assert set(there) == {
        *("user/bringup-watch.service", "user/bringup-watch.timer"),
        *("user/timers.target.wants/bringup-watch.timer", "user/default.target.wants/bringup-watch.service"),
    }
    assert there["user/timers.target.wants/bringup-watch.timer"] == "../bringup-watch.timer"
    assert (own_home / ".config/systemd/user/default.target.wants/bringup-watch.service").is_file()
    watch_hooks.install(watch_hooks.Hooks(tuple(kept), hooks.links, ()))
    for unit in kept:
        Path(unit.path).unlink()  # by hand: the links that are left lead nowhere, and are ours to take away
    assert watch_hooks.is_installed()
    left, _ = watch_hooks.remove()
    assert left == ()
    assert not watch_hooks.is_installed()
    assert sorted(str(path) for path in own_home.rglob("*") if ".config" in str(path)) in (
        [],
        [str(own_home / ".config")],
    )


def test_the_hook_of_apt_runs_as_the_user_and_fails_no_upgrade(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bringup.machine.rights.is_root", lambda: False)
    monkeypatch.setattr("bringup.machine.rights.own_name", lambda: "alice")
    hook = next(
        one for one in watch_hooks.plan_hooks(has_apt=True, has_systemd=False).files if one.needs_root
    )
    match = re.search(r'DPkg::Post-Invoke \{ "([^"]+)"; \};\n$', hook.text)
    assert match is not None
    assert "runuser -u alice -- " in match[1]
    # What apt does with it: a shell. A program that fails, or is gone, must not fail the upgrade.
    assert "env HOME=" in match[1]
    broken = re.sub(r"runuser -u alice -- env \S+ \S+", "false", match[1])
    assert subprocess.run(["sh", "-c", broken], check=False).returncode == 0
    gone = re.sub(r"-x \S+", "-x /nowhere/python", match[1])
    assert subprocess.run(["sh", "-c", gone], check=False).returncode == 0


PRIVATE_APT = """Dir "{root}";
Dir::Etc "etc";
Dir::Etc::Parts "{root}/etc/parts";
Dir::Etc::SourceList "/dev/null";
Dir::Etc::SourceParts "{root}/etc/sources";
Dir::State "state";
Dir::State::status "{root}/admin/status";
Dir::Cache "cache";
Dir::Log "log";
APT::Sandbox::User "";
Debug::NoLocking "true";
DPkg::Options {{ "--admindir={root}/admin"; "--instdir={root}/inst"; "--force-not-root";
  "--log={root}/log/dpkg.log"; }};
"""


def private_apt(root: Path) -> dict[str, str]:
    """An apt of its own, without packages and sources: the environment that makes apt-get use it."""
    places = ("parts", "sources", "preferences.d", "../state/lists/partial", "../cache/archives/partial")
    places += ("../log", "../inst", "../admin/info", "../admin/updates", "../admin/triggers")
    (root / "etc").mkdir(parents=True)
    for place in places:
        (root / "etc" / place).mkdir(parents=True)
    (root / "admin/status").touch()
    (root / "apt.conf").write_text(PRIVATE_APT.format(root=root))
    more = {"LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive", "HOME": "/root"}
    return {"PATH": os.environ["PATH"], "APT_CONFIG": str(root / "apt.conf"), **more}


def made_package(folder: Path) -> Path:
    control = folder / "made" / "DEBIAN" / "control"
    control.parent.mkdir(parents=True)
    fields = {"Package": "made-by-a-test", "Version": "1", "Architecture": "all"}
    fields |= {"Maintainer": "Nobody <nobody@example.org>", "Description": "empty"}
    control.write_text("".join(f"{name}: {value}\n" for name, value in fields.items()))
    package = folder / "made.deb"
    subprocess.run(
        ["dpkg-deb", "--build", str(folder / "made"), str(package)],
        check=True,
        capture_output=True,
        timeout=60,
    )
    return package


@pytest.mark.skipif(shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None, reason="no dpkg")
@pytest.mark.skipif(os.geteuid() != 0, reason="not root")
@pytest.mark.parametrize("is_broken", [False, True])
def test_a_real_apt_runs_the_hook_as_the_user_and_ends_well(
    own_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_broken: bool
) -> None:
    home = Home(own_home)
    monkeypatch.setattr("bringup.machine.rights.is_root", lambda: False)
    monkeypatch.setattr("bringup.machine.rights.own_name", lambda: "root")
    monkeypatch.setattr("bringup.machine.rights.own_home", lambda: str(own_home))
    (hook,) = watch_hooks.plan_hooks(has_apt=True, has_systemd=False).files
    environment = private_apt(tmp_path / "apt")
    text = hook.text.replace("bringup watch", "bringup watch --no-such-option") if is_broken else hook.text
    (tmp_path / "apt/etc/parts" / Path(watch_hooks.APT_HOOK).name).write_text(text)
    argv = ["apt-get", "install", "--yes", str(made_package(tmp_path))]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "Setting up made-by-a-test" in done.stdout
    assert ("no such option" in done.stderr) is is_broken
    # The look of the watch after the upgrade is in this user's journal, and not in root's.
    assert (home.state / "journal.sqlite").exists() is not is_broken


def test_root_gets_no_hook_that_runs_what_others_can_change(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bringup.machine.rights.is_root", lambda: True)
    monkeypatch.setattr("bringup.machine.rights.is_roots_own", lambda _path: False)
    hooks = watch_hooks.plan_hooks(has_apt=True, has_systemd=False)
    assert hooks.files == ()
    assert any("others can change" in reason for reason in hooks.left_out)


def test_without_a_yes_nothing_is_written(own_home: Path) -> None:
    home = Home(own_home)
    done = run_cli(home, "watch", "--install")
    assert done.returncode == 2
    assert "nothing was written" in done.stderr or "no place for a hook" in done.stderr
    assert not (own_home / ".config/systemd").exists()
    assert run_cli(home, "watch", "--install", "--remove").returncode == 2


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze")
def test_systemd_takes_the_units(tmp_path: Path) -> None:
    for hook in watch_hooks.plan_hooks(has_apt=False, has_systemd=True).files:
        (tmp_path / Path(hook.path).name).write_text(hook.text)
    units = [str(tmp_path / name) for name in ("bringup-watch.service", "bringup-watch.timer")]
    done = subprocess.run(
        ["systemd-analyze", "--user", "verify", *units],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "bringup-watch" not in done.stderr, done.stderr


MANAGER = "/lib/systemd/systemd"
USER_MANAGER = """
set -u
mount -t tmpfs none /run && mkdir -p /run/systemd/system /run/user/0
mount -t tmpfs none /etc/apt/apt.conf.d
export XDG_RUNTIME_DIR=/run/user/0
{manager} --user >/dev/null 2>&1 &
wait_for() {{
  n=0
  until eval "$1"; do
    n=$((n + 1)); [ $n -gt 900 ] && echo "waited too long: $1" && break; sleep 0.1
  done
}}
wait_for 'systemctl --user is-system-running >/dev/null 2>&1'
{bringup} watch --install --yes >/dev/null 2>&1; echo "installed $?"
systemctl --user is-active bringup-watch.timer
systemctl --user is-enabled bringup-watch.timer bringup-watch.service
sed -i 's/OnStartupSec=2min/OnStartupSec=1s/; s/RandomizedDelaySec=2min/AccuracySec=50ms/' \
  "$XDG_CONFIG_HOME/systemd/user/bringup-watch.timer"
systemctl --user daemon-reload
systemctl --user restart bringup-watch.timer
wait_for '[ "$(systemctl --user show -p ExecMainExitTimestampMonotonic --value bringup-watch.service)" != 0 ]'
systemctl --user show -p Result --value bringup-watch.service
{bringup} watch --remove >/dev/null 2>&1; echo "removed $?"
systemctl --user list-unit-files --no-pager | grep -c bringup-watch
systemctl --user list-timers --all --no-pager | grep -c bringup-watch
ls /etc/apt/apt.conf.d
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="not root")
@pytest.mark.skipif(not Path(MANAGER).exists() or shutil.which("systemctl") is None, reason="no systemd")
def test_a_real_user_manager_runs_the_timer_and_nothing_is_left(own_home: Path) -> None:
    """The real systemd as a user's manager, in a mount namespace; the timer fires after a second."""
    unshare = shutil.which("unshare") or "false"
    probe = [unshare, "-m", "--pid", "--fork", "--mount-proc", "true"]
    if subprocess.run(probe, check=False, capture_output=True).returncode:
        pytest.skip("no unshare")
    home = Home(own_home)
    script = USER_MANAGER.format(manager=MANAGER, bringup=" ".join(argv()))
    done = subprocess.run(
        # With the first process of the process namespace everything that it started ends.
        [unshare, "-m", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", script],
        env=home.environment(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if "waited too long: systemctl --user is-system-running" in done.stdout:
        pytest.skip("no systemd")
    assert done.stdout.split("\n") == [
        *("installed 0", "active", "enabled", "enabled", "success", "removed 0", "0", "0", "")
    ], done.stdout + done.stderr
    entries, _ = with_journal(Folders("", "", str(home.state)), Journal.entries)
    assert Kind.STATE in {entry.kind for entry in entries or []}, "the timer's look is in the log"
    left = [path for path in own_home.rglob("*") if not path.is_dir() and home.state not in path.parents]
    assert left == []
    assert not (own_home / ".config/systemd").exists()
