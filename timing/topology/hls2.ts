/** Eight Gaudi2 cards; 37.5 GB/s between each two. */
export const HLS2 = `name: hls2
description: HLS-2, 8 Gaudi2, each with 24 ports of 100 Gb/s (3 to each other card, 3 to a switch)

parameters:
  card.issue:
    value: 500ns
    source: no public measurement is known; a guess for a queue that hardware works off
    status: assumed
  card.reduceRate:
    value: 816.7GB/s
    source: a third of the memory rate (2.45 TB/s of HBM2E, yobitel.com, elsewhere 2.4), as a sum reads two operands and writes one
    status: derived
  card.copyRate:
    value: 1225GB/s
    source: half of the memory rate (2.45 TB/s of HBM2E, yobitel.com, elsewhere 2.4), as a copy reads and writes
    status: derived
  scaleUp.rate:
    value: 100Gb/s
    source: 24 ports of 100 Gb/s Ethernet a card (docs.habana.ai, Gaudi Architecture); 37.5 GB/s a pair in the scale_validation test of github.com/HabanaAI/hccl_demo
    status: published
  scaleUp.latency:
    value: 700ns
    source: no public measurement of small messages is known; of the order of other RDMA NICs over Ethernet
    status: assumed
  scaleUp.efficiency:
    value: 0.98365
    source: fitted to 258.209121 GB/s, all-reduce of 32 MiB on 8 Gaudi2 (Intel Gaudi validation README of OpenShift), by hlsim calibrate
    status: derived
  scaleOut.rate:
    value: 100Gb/s
    source: 24 ports of 100 Gb/s Ethernet a card (docs.habana.ai, Gaudi Architecture); 3 of them go out of the box
    status: published
  scaleOut.latency:
    value: 800ns
    source: half of the way through both NICs and a switch; no public measurement of small messages is known; of the order of other RDMA NICs over Ethernet
    status: assumed
  scaleOut.efficiency:
    value: 0.98365
    source: as scaleUp.efficiency
    status: derived
  scaleOut.taper:
    value: 1
    source: a switch that does not block, as the reference designs at docs.habana.ai have
    status: assumed
  pcie.rate:
    value: 31.5GB/s
    source: 16 lanes of PCIe 4.0, 16 GT/s with 128b/130b coding
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
    source: four ports of 100 Gb/s, as on AWS DL1; servers differ
    status: assumed
  hostNic.latency:
    value: 5us
    source: half of the way through both host NICs and a switch, with their libfabric provider; a guess
    status: assumed
  hostNic.efficiency:
    value: 0.95
    source: headers of the network's protocol; a guess
    status: assumed

cards:
  gaudi2: {issue: card.issue, reduce: card.reduceRate, copy: card.copyRate}

boxKinds:
  hls2:
    cards: {kind: gaudi2, count: 8}
    nodes:
      bus: {}
      memory: {memory: true}
    links:
      # Every card has a direct cables to every other.
      - {kind: scaleUp, from: card, to: card, ports: 3, rate: scaleUp.rate, latency: scaleUp.latency, efficiency: scaleUp.efficiency}
      - {kind: scaleOut, from: card, to: fabric, ports: 3, rate: scaleOut.rate, latency: scaleOut.latency, efficiency: scaleOut.efficiency}
      # The way through the host: messages take it with the path bounce, or when nothing else is left.
      - {kind: pcie, from: card, to: bus, rate: pcie.rate, latency: pcie.latency, efficiency: pcie.efficiency}
      - {kind: hostMemory, from: bus, to: memory, duplex: half, rate: hostMemory.rate, latency: hostMemory.latency}
      - {kind: hostNic, from: bus, to: hostFabric, rate: hostNic.rate, latency: hostNic.latency, efficiency: hostNic.efficiency}

boxes:
  - {kind: hls2, count: 1}

switches:
  fabric: {taper: scaleOut.taper}
  hostFabric: {}
`;
