"""The load-testing harness behind `ketgate load`.

A coordinator (`run`) starts worker processes (`worker`), which send what a scenario (`scenarios`)
makes from a seed at the times that `arrivals` plans, and count what comes back (`tally`). Latency
in an open loop runs from the time at which a call was due, not from when it was sent: a server that
stalls cannot hide the calls that it held back.
"""
