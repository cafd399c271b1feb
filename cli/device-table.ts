/** What `hlsim smi` and `hlsim dmabuf` print: devices and dma-bufs as tables for people. */
import { formatBytes } from '../common/bytes.ts';
import type {
  DeviceReport,
  DmaBufReport,
  UserProcess,
} from '../coordinator/hlcp/device-messages.ts';
import type { HostDevices } from './device-questions.ts';
import { renderTable } from './table.ts';
import { counted } from './wording.ts';

const NOBODY = '-';

const DEVICE_HEADER = [
  'HOST',
  'DEVICE',
  'STATE',
  'OWNERSHIP',
  'OWNER',
  'HBM',
  'DMA-BUFS',
  'MRS',
  'RESETS',
] as const;

/** One row per device; below them, why those that are disabled are. */
export function renderDevices(hosts: readonly HostDevices[]): string {
  const rows = hosts.flatMap(({ host, devices }) =>
    devices.map((device) => [`${host.index} ${host.hostname}`, ...deviceCells(device)]),
  );
  const reasons = hosts.flatMap(({ host, devices }) =>
    devices.flatMap(({ index, disabledReason }) =>
      disabledReason === undefined
        ? []
        : [`Device ${index} of host ${host.index} is disabled: ${disabledReason}`],
    ),
  );
  return [renderTable(DEVICE_HEADER, rows), ...reasons].join('\n');
}

function deviceCells(device: DeviceReport): string[] {
  return [
    String(device.index),
    device.status === 'OPERATIONAL' ? device.use : device.status,
    device.ownership,
    device.owner === null ? NOBODY : processWords(device.owner),
    `${formatBytes(device.hbmUsedBytes)} / ${formatBytes(device.hbmBytes)}`,
    String(device.exportedDmaBufs),
    String(device.memoryRegions),
    String(device.resets.hard),
  ];
}

const DMA_BUF_HEADER = [
  'DEVICE',
  'SIZE',
  'EXPORTER',
  'NAME',
  'STATE',
  'REFERENCES',
  'PINS',
  'FENCES',
  'ATTACHMENTS',
  'DESCRIPTORS',
] as const;

/** Per host what the kernel's bufinfo shows, and the sum below it. */
export function renderDmaBufs(hosts: readonly HostDevices[]): string {
  return hosts.map(hostDmaBufs).join('\n\n');
}

function hostDmaBufs({ host, dmaBufs, dmaBufsOmitted }: HostDevices): string {
  const bytes = dmaBufs.reduce((total, { size }) => total + size, 0);
  const sum = `Host ${host.index} ${host.hostname}: ${counted(dmaBufs.length, 'dma-buf')}, ${counted(bytes, 'byte')}`;
  if (dmaBufs.length === 0) return sum;
  const more = dmaBufsOmitted === 0 ? '' : `, and ${dmaBufsOmitted} more`;
  return `${sum}${more}\n${renderTable(DMA_BUF_HEADER, dmaBufs.flatMap(dmaBufRows))}`;
}

/** The users of a dma-buf are listed from its row on downwards. */
function dmaBufRows(dmaBuf: DmaBufReport): string[][] {
  const { device, size, exporter, name = '', state, references, pins } = dmaBuf;
  const fences = Object.values(dmaBuf.fences).reduce((total, count) => total + count, 0);
  const numbers = [references, pins, fences].map(String);
  const first = [String(device), String(size), exporter, name, state, ...numbers];
  const attachments = [
    ...dmaBuf.attachments.map(attachmentWords),
    ...omitted(dmaBuf.attachmentsOmitted),
  ];
  const descriptors = [
    ...dmaBuf.descriptors.map((one) => `fd ${one.fd} of ${processWords(one)}`),
    ...omitted(dmaBuf.descriptorsOmitted),
  ];
  const height = Math.max(1, attachments.length, descriptors.length);
  return Array.from({ length: height }, (_, row) => [
    ...(row === 0 ? first : first.map(() => '')),
    attachments[row] ?? '',
    descriptors[row] ?? '',
  ]);
}

function attachmentWords(attachment: DmaBufReport['attachments'][number]): string {
  const { importer, holder, kind, state, revocable } = attachment;
  const who = holder === undefined ? '' : ` for ${processWords(holder)}`;
  return `${importer}${who}: ${kind}, ${state}, ${revocable ? 'revocable' : 'not revocable'}`;
}

function omitted(count: number): string[] {
  return count === 0 ? [] : [`and ${count} more`];
}

function processWords({ pid, containerId }: UserProcess): string {
  return `pid ${pid} (${containerId})`;
}
