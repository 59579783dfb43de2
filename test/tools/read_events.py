"""Prints what TensorBoard reads in a run's folder, one line per value: python3 read_events.py FOLDER."""
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

events = EventAccumulator(sys.argv[1])
events.Reload()
for tag in sorted(events.Tags()["scalars"]):
    for event in events.Scalars(tag):
        print(tag, event.step, repr(event.value))
for tag in sorted(events.Tags()["tensors"]):
    for event in events.Tensors(tag):
        print("text", tag, event.step, len(event.tensor_proto.string_val[0]))
