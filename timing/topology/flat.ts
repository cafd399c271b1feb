/** Cards at one switch, for comparisons with papers and other simulators. No real hardware. */
export const FLAT = `name: flat
description: cards with one port of 100 Gb/s each way to one switch that does not block; no real hardware

parameters:
  card.issue:
    value: 0s
    source: the models of the papers have no such term
    status: assumed
  card.reduceRate:
    value: 1000GB/s
    source: far above the rate of the port, so that it is next to nothing
    status: assumed
  card.copyRate:
    value: 1000GB/s
    source: far above the rate of the port, so that it is next to nothing
    status: assumed
  port.rate:
    value: 12.5GB/s
    source: 100 Gb/s
    status: assumed
  port.latency:
    value: 500ns
    source: 1 us from card to card, a usual value in papers
    status: assumed

cards:
  card: {issue: card.issue, reduce: card.reduceRate, copy: card.copyRate}

boxKinds:
  flat:
    cards: {kind: card, count: 1}
    links:
      - {kind: scaleOut, from: card, to: fabric, rate: port.rate, latency: port.latency}

boxes:
  - {kind: flat, count: 8}

switches:
  fabric: {}
`;
