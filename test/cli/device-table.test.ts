import { describe, expect, it } from 'vitest';
import type { HostDevices } from '../../cli/device-questions.ts';
import { renderDevices, renderDmaBufs } from '../../cli/device-table.ts';
import { MiB } from '../../common/bytes.ts';

const owner = { pid: 100, containerId: 'job-0' };
const other = { pid: 103, containerId: 'tenant-b' };
const device: HostDevices['devices'][number] = {
  index: 0,
  asic: 'gaudi2',
  pciBusId: '0000:19:00.0',
  status: 'OPERATIONAL',
  use: 'open',
  ownership: 'owner',
  owner,
  openers: [owner],
  hbmBytes: 256 * MiB,
  hbmUsedBytes: 2 * MiB,
  allocations: 1,
  mappings: 1,
  exportedDmaBufs: 2,
  memoryRegions: 1,
  resets: { hard: 1, soft: 4 },
};
const dmaBuf: HostDevices['dmaBufs'][number] = {
  device: 0,
  exporter: 'habanalabs',
  name: 'gradients',
  size: 65_536,
  references: 3,
  state: 'live',
  pins: 1,
  attachments: [
    { importer: 'hlsim_0', holder: owner, kind: 'dynamic', state: 'mapped', revocable: true },
  ],
  attachmentsOmitted: 0,
  fences: { KERNEL: 0, WRITE: 1, READ: 0, BOOKKEEP: 2 },
  descriptors: [
    { ...owner, fd: 4 },
    { ...other, fd: 0 },
  ],
  descriptorsOmitted: 0,
};
const host: HostDevices = {
  type: 'HLCP_DEVICE_REPORT',
  requestId: 1,
  host: { index: 0, hostname: 'box' },
  devices: [device],
  dmaBufs: [dmaBuf],
  dmaBufsOmitted: 0,
};

describe('renderDevices', () => {
  it('gives each device a row, with who has it', () => {
    const free = { ...device, index: 1, use: 'free', owner: null, resets: { hard: 0, soft: 0 } };
    expect(renderDevices([{ ...host, devices: [device, free] }]).split('\n')).toEqual([
      'HOST   DEVICE  STATE  OWNERSHIP  OWNER            HBM              DMA-BUFS  MRS  RESETS',
      '0 box  0       open   owner      pid 100 (job-0)  2 MiB / 256 MiB  2         1    1',
      '0 box  1       free   owner      -                2 MiB / 256 MiB  2         1    0',
    ]);
  });

  it("shows the driver's word where something is wrong, and why a device is disabled", () => {
    const disabledReason = 'it was never closed';
    const devices = [{ ...device, status: 'MALFUNCTION', disabledReason }];
    const lines = renderDevices([{ ...host, devices }]).split('\n');
    expect(lines[1]).toContain(' MALFUNCTION ');
    expect(lines[2]).toBe('Device 0 of host 0 is disabled: it was never closed');
  });
});

describe('renderDmaBufs', () => {
  it('lists the users of a dma-buf below one another', () => {
    const lines = renderDmaBufs([host]).split('\n');
    expect(lines[0]).toBe('Host 0 box: 1 dma-buf, 65536 bytes');
    expect(lines[2]).toMatch(
      /^0 +65536 +habanalabs +gradients +live +3 +1 +3 +hlsim_0 for pid 100 \(job-0\): dynamic, mapped, revocable +fd 4 of pid 100 \(job-0\)$/,
    );
    expect(lines[3]).toMatch(/^ +fd 0 of pid 103 \(tenant-b\)$/);
    expect(lines).toHaveLength(4);
  });

  it('counts what a host has left out', () => {
    const long = { ...dmaBuf, attachmentsOmitted: 2, descriptorsOmitted: 7 };
    const text = renderDmaBufs([{ ...host, dmaBufs: [long], dmaBufsOmitted: 9 }]);
    expect(text).toContain('1 dma-buf, 65536 bytes, and 9 more\n');
    expect(text).toContain('and 2 more');
    expect(text).toContain('and 7 more');
  });

  it('says of a host without any that it has none', () => {
    const none = { ...host, dmaBufs: [] };
    const second = { ...none, host: { index: 1, hostname: 'box' } };
    expect(renderDmaBufs([none, second])).toBe(
      'Host 0 box: 0 dma-bufs, 0 bytes\n\nHost 1 box: 0 dma-bufs, 0 bytes',
    );
  });
});
