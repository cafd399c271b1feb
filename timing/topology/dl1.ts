/** An AWS dl1.24xlarge: eight Gaudi cards whose way out of the box is the host. */
export const DL1 = `name: dl1
description: AWS dl1.24xlarge, 8 Gaudi, 7 ports of 100 Gb/s each to the other cards, and 400 Gb/s of host network for all

parameters:
  card.issue:
    value: 500ns
    source: no public measurement is known; a guess for a queue that hardware works off
    status: assumed
  card.reduceRate:
    value: 333GB/s
    source: a third of the memory rate (about 1 TB/s of HBM2), as a sum reads two operands and writes one
    status: derived
  card.copyRate:
    value: 500GB/s
    source: half of the memory rate (about 1 TB/s of HBM2), as a copy reads and writes
    status: derived
  scaleUp.rate:
    value: 100Gb/s
    source: 10 ports of 100 Gb/s Ethernet a card (docs.habana.ai, Gaudi Architecture); 12.5 GB/s a pair in the scale_validation test of github.com/HabanaAI/hccl_demo
    status: published
  scaleUp.latency:
    value: 700ns
    source: no public measurement of small messages is known; of the order of other RDMA NICs over Ethernet
    status: assumed
  scaleUp.efficiency:
    value: 0.9901
    source: 8192 of 8274 bytes on the wire, for the 8 KiB packets of HCL (github.com/HabanaAI/HCL) with 82 bytes of Ethernet, IPv4, UDP and InfiniBand headers, checksums, preamble and gap (RoCE v2, IEEE 802.3)
    status: derived
  pcie.rate:
    value: 15.75GB/s
    source: 16 lanes of PCIe 3.0, 8 GT/s with 128b/130b coding; two cards share them (AWS, DL1 instances deep dive)
    status: derived
  pcie.latency:
    value: 500ns
    source: no public measurement is known; of the order of other PCIe devices
    status: assumed
  pcie.efficiency:
    value: 0.9
    source: headers, acknowledgements and credits of PCIe take about a tenth; no public measurement is known
    status: assumed
  hostMemory.rate:
    value: 200GB/s
    source: two sockets of server memory, reading and writing; servers differ
    status: assumed
  hostMemory.latency:
    value: 100ns
    source: server memory; servers differ
    status: assumed
  hostNic.rate:
    value: 50GB/s
    source: 400 Gb/s of Elastic Fabric Adapter a box (AWS, DL1 instances deep dive)
    status: published
  hostNic.latency:
    value: 7us
    source: half of the way from host to host with Elastic Fabric Adapter, of the order of 15 us; a guess for these boxes
    status: assumed
  hostNic.efficiency:
    value: 0.95
    source: headers of the network's protocol; a guess
    status: assumed

cards:
  gaudi: {issue: card.issue, reduce: card.reduceRate, copy: card.copyRate}

boxKinds:
  dl1:
    cards: {kind: gaudi, count: 8}
    nodes:
      bridge: {count: 4}
      bus: {}
      memory: {memory: true}
    links:
      # Every card has a direct cable to every other.
      - {kind: scaleUp, from: card, to: card, ports: 1, rate: scaleUp.rate, latency: scaleUp.latency, efficiency: scaleUp.efficiency}
      # The only way out: a PCIe switch for two cards, the host's bus, the host's NICs.
      - {kind: pcie, from: card, to: bridge, rate: pcie.rate, latency: pcie.latency, efficiency: pcie.efficiency}
      - {kind: pcie, from: bridge, to: bus, rate: pcie.rate, latency: pcie.latency, efficiency: pcie.efficiency}
      - {kind: hostMemory, from: bus, to: memory, duplex: half, rate: hostMemory.rate, latency: hostMemory.latency}
      - {kind: hostNic, from: bus, to: hostFabric, rate: hostNic.rate, latency: hostNic.latency, efficiency: hostNic.efficiency}

boxes:
  - {kind: dl1, count: 1}

switches:
  hostFabric: {}
`;
