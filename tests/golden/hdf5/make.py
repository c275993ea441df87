#!/usr/bin/env python3
"""Makes the HDF5, NWB and BIDS files of this folder, and what they hold as h5py reads it.

    pip install h5py==3.16.0 pynwb==4.2.0
    python3 make.py FOLDER     # with grasshopper_spike_times{1,2}.txt, event_related_fmri.csv of nitime 0.12.1
"""

import datetime
import json
import pathlib
import sys

import h5py
import numpy as np
import pynwb

HERE = pathlib.Path(__file__).resolve().parent


def spikes(path):
    """Spike times in seconds."""
    lines = path.read_text().splitlines()
    return np.array([float(line) for line in lines if line.strip() and not line.startswith("#")]) / 1e6


def recording(source):
    """Two recordings of one receptor as the units of a session: the first two seconds."""
    when = datetime.datetime(2000, 1, 1, tzinfo=datetime.timezone.utc)
    nwb = pynwb.NWBFile("Receptor of a grasshopper that hears a tone", "receptor", when, file_create_date=when)
    nwb.add_trial_column("second", "which second of the recording")
    nwb.add_trial_column("first", "whether it is the first one")
    for second in range(2):
        nwb.add_trial(start_time=float(second), stop_time=second + 1.0, second=f"s{second}", first=second == 0)
    nwb.add_unit_column("recording", "name of the recording")
    trains = [spikes(source / f"grasshopper_spike_times{i}.txt") for i in (1, 2)]
    trains = [np.sort(train[train < 2]) for train in trains]
    for number, train in enumerate(trains, 1):
        nwb.add_unit(spike_times=train, recording=f"recording {number}")
    counts = np.stack([np.histogram(train, bins=40, range=(0, 2))[0] for train in trains], axis=1).astype("i2")
    packed = pynwb.H5DataIO(counts, compression="gzip", shuffle=True, chunks=(16, 2))
    nwb.add_acquisition(pynwb.TimeSeries(name="rate", data=packed, unit="spikes", rate=20.0, starting_time=0.025))
    with pynwb.NWBHDF5IO(HERE / "receptor.nwb", "w") as file:
        file.write(nwb, cache_spec=False)


def mixed(name, libver):
    """Every layout, type and link that is read, and some that are refused."""
    values = (np.arange(60, dtype="f4") / 7).reshape(10, 6)
    with h5py.File(HERE / name, "w", libver=libver) as file:
        rows = file.create_group("rows")
        rows["plain"] = values
        rows.create_dataset("packed", data=values, chunks=(4, 4), compression="gzip", shuffle=True, fletcher32=True)
        rows["big"] = values.astype(">f8")
        rows["half"] = values[:, 0].astype("f2")
        rows.create_dataset("grown", data=np.arange(10, dtype="u2"), maxshape=(None,), chunks=(3,))
        rows["truth"] = np.arange(10) % 3 == 0
        rows["fixed"] = np.array([f"s{i}" for i in range(10)], dtype="S4")
        rows.create_dataset("text", data=[f"é{i}" for i in range(10)], dtype=h5py.string_dtype())
        rows.create_dataset("unwritten", shape=(10,), dtype="i4", chunks=(3,), fillvalue=7)
        rows["record"] = np.zeros(10, dtype=[("a", "f4"), ("b", "i4")])
        rows["single"] = 3.5
        file["linked"] = h5py.SoftLink("/rows/plain")
        file["outside"] = h5py.ExternalLink("/etc/hosts", "/x")
        file["dangling"] = h5py.SoftLink("/nowhere")
        file["rows/loop"] = file["/"]
        file.create_dataset("elsewhere", shape=(10,), dtype="u1", external=[("/etc/passwd", 0, 10)])
        file.create_dataset("endless", shape=(1 << 44,), dtype="f8", chunks=(1 << 20,), compression="gzip")
        file.create_dataset("lzf", data=values, chunks=(4, 4), compression="lzf")
        odd = h5py.h5t.IEEE_F32LE.copy()
        odd.set_fields(31, 20, 11, 0, 20)
        h5py.h5d.create(file.id, b"odd", odd, h5py.h5s.create_simple((10,)))


def bids(source):
    """The first 20 events of the fMRI series as a table of events with its sidecar."""
    rows = [line.split(",") for line in (source / "event_related_fmri.csv").read_text().split()[1:]]
    events = [(at, int(float(event))) for at, (_, event) in enumerate(rows) if float(event)][:20]
    names = ["face", "house", "body", "word", "tool", "noise"]
    lines = ["onset\tduration\ttrial_type\tvalue\tresponse_time"]
    for number, (at, event) in enumerate(events):
        answer = "n/a" if number % 4 == 3 else f"{0.4 + event / 20:.2f}"
        lines.append(f"{at * 2.0:.1f}\t{'n/a' if number == 5 else '1.0'}\t{names[event - 1]}\t{event}\t{answer}")
    (HERE / "sub-01_task-types_events.tsv").write_text("\n".join(lines) + "\n")
    sidecar = {
        "onset": {"Description": "Onset of the event", "Units": "s"},
        "trial_type": {"LongName": "Type", "Levels": {name: f"A {name}" for name in names}},
        "value": {"Description": "Code of the type", "Levels": {str(i): name for i, name in enumerate(names, 1)}},
    }
    (HERE / "sub-01_task-types_events.json").write_text(json.dumps(sidecar, indent=2) + "\n")


def expected():
    """What h5py and pynwb read: the cases of the tests."""
    cases = []
    for name in ["mixed-earliest.h5", "mixed-latest.h5"]:
        with h5py.File(HERE / name) as file:
            rows = file["rows"]
            columns = {key: rows[key][()] for key in rows if key not in ("loop", "single", "record")}
            cases.append({"with": {"path": name, "group": "rows"}, "columns": columns})
            cases.append({"with": {"path": name, "columns": {"x": "linked", "y": "rows/truth"}},
                          "columns": {"x": file["linked"][()], "y": rows["truth"][()]}})  # fmt: skip
    with pynwb.NWBHDF5IO(HERE / "receptor.nwb", "r") as io:
        nwb = io.read()
        trials = {key: nwb.trials[key][:] for key in ("id", *nwb.trials.colnames)}
        cases.append({"with": {"path": "receptor.nwb", "group": "intervals/trials"}, "columns": trials})
        trains = [nwb.units["spike_times"][i] for i in range(len(nwb.units))]
        row = np.repeat(nwb.units.id[:], [len(train) for train in trains])
        names = np.asarray(nwb.units["recording"][:])[row]
        columns = {"row": row, "recording": names, "spike_times": np.concatenate(trains)}
        cases.append({"with": {"path": "receptor.nwb", "group": "units", "explode": "spike_times"}, "columns": columns})
        series = nwb.acquisition["rate"]
        columns = {"data": series.data[:], "timestamps": series.starting_time + np.arange(40) / series.rate}
        cases.append({"with": {"path": "receptor.nwb", "group": "acquisition/rate"}, "columns": columns})
    for case in cases:
        case["columns"] = {name: listed(values) for name, values in case["columns"].items()}
    lines = ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases)
    (HERE / "expected.json").write_text(f"[\n{lines}\n]\n")


def listed(values):
    """Values as JSON."""
    values = np.asarray(values)
    if values.dtype.kind in "SO":
        return [value.decode() if isinstance(value, bytes) else str(value) for value in values]
    if values.dtype.kind == "U":
        return [str(value) for value in values]
    return values.reshape(-1).astype(float).tolist()


if __name__ == "__main__":
    folder = pathlib.Path(sys.argv[1])
    recording(folder)
    mixed("mixed-earliest.h5", "earliest")
    mixed("mixed-latest.h5", "latest")
    bids(folder)
    expected()
