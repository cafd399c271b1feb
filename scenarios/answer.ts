/** What the kernel answered, in a few characters: descriptors, addresses and keys as people write them. */
import type { VerbsMr } from 'hlsim';
import type { HostRegion } from './acts/verbs.ts';

const descriptor = (value: unknown) => `fd ${value}`;
const address = (value: unknown) => `device address 0x${Number(value).toString(16)}`;
const key = ({ rkey }: VerbsMr) => `rkey 0x${rkey.toString(16)}`;

/** By act; others show their value. */
const SHOWN: Readonly<Record<string, (value: unknown) => string>> = {
  open: descriptor,
  openControl: descriptor,
  dup: descriptor,
  exportDmaBuf: descriptor,
  allocate: address,
  importDmaBuf: address,
  openVerbs: () => 'a protection domain',
  registerDmaBuf: (value) => key(value as VerbsMr),
  registerOwn: (value) => key((value as HostRegion).mr),
  timedClose: (value) => `done after ${value} ms`,
  rdmaRead: String,
  rdmaWrite: String,
  rdmaWriteFrom: String,
  copy: String,
  status: String,
};

export function shownAnswer(act: string, value: unknown): string {
  const show = SHOWN[act];
  if (show !== undefined) return show(value);
  if (value === undefined || value === null) return 'done';
  if (typeof value === 'string') return JSON.stringify(value);
  if (typeof value !== 'object') return String(value);
  if (Array.isArray(value)) return value.join(', ');
  return Object.entries(value)
    .map(([name, count]) => `${name}: ${String(count)}`)
    .join('; ');
}
