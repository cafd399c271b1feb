/** Topologies that are not built in: rings, trees, rails, boxes of two kinds. */
import type { TopologyFile } from '../../../timing/topology/file.ts';
import { readTopology } from '../../../timing/topology/read.ts';

/** Parameters and a kind of card that every one of them has. */
export const COMMON = `parameters:
  issue: {value: 300ns, source: the test, status: assumed}
  memory: {value: 400GB/s, source: the test, status: assumed}
  fast: {value: 100GB/s, source: the test, status: assumed}
  slow: {value: 10GB/s, source: the test, status: assumed}
  latency: {value: 1us, source: the test, status: assumed}
  half: {value: 50%, source: the test, status: assumed}
cards:
  plain: {issue: issue, reduce: memory, copy: memory}
`;

/** Six cards in a ring: messages to others are forwarded by the cards between. */
export const RING = `name: ring
${COMMON}
boxKinds:
  box:
    cards: {kind: plain, count: 6}
    links: [{kind: cable, from: card, to: card, wiring: ring, rate: fast, latency: latency}]
boxes: [{kind: box}]
`;

/** Boxes of two cards below leaf switches, these below a spine with half the rate. */
export const LEAF_SPINE = `name: leaf-spine
${COMMON}
boxKinds:
  box:
    cards: {kind: plain, count: 2}
    links:
      - {kind: cable, from: card, to: card, rate: fast, latency: latency}
      - {kind: port, from: card, to: leaf, rate: slow, latency: latency}
boxes: [{kind: box, count: 6}]
switches:
  leaf: {boxesEach: 2}
  spine: {}
links:
  - {kind: uplink, from: leaf, to: spine, ports: 2, rate: slow, latency: latency}
`;

/** Card i of every box is at switch i: others are reached through the own box. */
export const RAILS = `name: rails
${COMMON}
boxKinds:
  box:
    cards: {kind: plain, count: 3}
    links:
      - {kind: cable, from: card, to: card, rate: fast, latency: latency}
      - {kind: port, from: card, to: rail, rate: slow, latency: latency}
boxes: [{kind: box, count: 3}]
switches:
  rail: {count: 3}
`;

/** A box of four and a box of two, of different cards. */
export const MIXED = `name: mixed
${COMMON}
  other: {issue: latency, reduce: slow, copy: memory}
boxKinds:
  large:
    cards: {kind: plain, count: 4}
    nodes: {bus: {}}
    links:
      - {kind: cable, from: card, to: card, rate: fast, latency: latency}
      - {kind: pcie, from: card, to: bus, rate: fast, latency: latency}
      - {kind: nic, from: bus, to: fabric, rate: slow, latency: latency}
  small:
    cards: [{kind: other, count: 1}, {kind: plain, count: 1}]
    links:
      - {kind: port, from: card, to: fabric, duplex: half, rate: slow, latency: latency}
boxes: [{kind: large}, {kind: small, count: 2}]
switches: {fabric: {taper: half}}
`;

/** Boxes in a line, joined by cables between single cards. */
export const LINE = `name: line
${COMMON}
boxKinds:
  box:
    cards: {kind: plain, count: 2}
    links: [{kind: cable, from: card, to: card, rate: fast, latency: latency}]
boxes: [{kind: box, count: 3}]
links:
  - {kind: long, from: box0/card1, to: box1/card0, rate: slow, latency: latency}
  - {kind: long, from: box1/card1, to: box2/card0, rate: slow, latency: latency}
`;

export const FOREIGN_TOPOLOGIES: readonly TopologyFile[] = [
  RING,
  LEAF_SPINE,
  RAILS,
  MIXED,
  LINE,
].map((text) => readTopology(text, 'test.yaml'));
