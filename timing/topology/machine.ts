/** Host processes of hlsim on one machine. */
export const MACHINE = `name: machine
description: hlsim's host processes on one machine, whose cores and memory they share; fitted to its own wall clock

parameters:
  machine.cores:
    value: 2
    source: a guess for a small machine; set it to what nproc prints
    status: assumed
  process.turn:
    value: 400us
    source: a guess for a turn of an event loop, from its waking up; hlsim calibrate finds it for a machine
    status: assumed
  process.issue:
    value: 0s
    source: counted with process.turn
    status: derived
  process.reduceRate:
    value: 4GB/s
    source: a guess for WebAssembly SIMD on one core; hlsim calibrate finds it for a machine
    status: assumed
  process.copyRate:
    value: 8GB/s
    source: a guess for a copy in memory by one core; hlsim calibrate finds it for a machine
    status: assumed
  message.latency:
    value: 0s
    source: counted with process.turn
    status: derived
  machine.rate:
    value: 2GB/s
    source: a guess for what all processes send together, as every message takes cores and memory at both ends; hlsim calibrate finds it for a machine
    status: assumed
  machine.latency:
    value: 0s
    source: counted with message.latency
    status: derived

cores:
  machine: {count: machine.cores}

cards:
  process: {issue: process.issue, reduce: process.reduceRate, copy: process.copyRate, cores: machine, turn: process.turn}

boxKinds:
  process:
    cards: {kind: process, count: 1}
    links:
      - {kind: process, from: card, to: out, duplex: none, rate: machine.rate, latency: message.latency}
      - {kind: process, from: in, to: card, duplex: none, rate: machine.rate, latency: machine.latency}

boxes:
  - {kind: process, count: 4}

switches:
  out: {}
  in: {}

links:
  # Everything goes through the cores and the memory that all share.
  - {kind: machine, from: out, to: in, duplex: none, rate: machine.rate, latency: machine.latency}
`;
