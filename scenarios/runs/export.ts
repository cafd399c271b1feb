/** R3, R4, R8, R17: making dma-bufs, and importing them. */
import { EVERY_POLICY, type Scenario } from '../scenario.ts';
import { must } from './connection.ts';
import { exportsMemory } from './memory.ts';

const BYTES = 65_536;
const ROUNDS = 200;

export const earlyDescriptor: Scenario = {
  id: 'R3',
  name: 'early-descriptor',
  title: 'another thread closes the number that an export is about to return',
  question: 'Can anybody touch a dma-buf before its export is complete?',
  risk: 'use after free in the driver: an object closed before it was complete',
  source: 'A. Viro, 16 September 2024, 20240916195713.GP2825852@ZenIV',
  hosts: 1,
  devices: 1,
  ownership: 'owner',
  policies: EVERY_POLICY,
  async run(stage) {
    const a = await stage.actor('A');
    const device = await a.needs('opens the device', 'open', 0);
    const address = await a.needs('allocates 64 KiB', 'allocate', device, BYTES);
    const endings = await a.needs(
      `exports ${ROUNDS} times while its other thread closes the number it expects`,
      'raceExport',
      device,
      address,
      BYTES,
      device + 1,
      ROUNDS,
    );
    const legal = [
      'close of the guess EBADF, close of the export ok',
      'close of the guess ok, close of the export EBADF',
    ];
    const freed = await a.does(
      'frees the memory, which nothing exports any more',
      'free',
      device,
      address,
    );
    await stage.verdict(
      Object.keys(endings).every((ending) => legal.includes(ending)) && freed.ok,
      'The number is reserved first and shown last: the other thread finds either nothing or a whole dma-buf, and no count is off.',
    );
  },
};

export const failedRegistration: Scenario = {
  id: 'R4',
  name: 'failed-registration',
  title: 'registrations that fail half-way through',
  question: 'Is everything given back once, and only once?',
  risk: 'a pin count below zero, and memory that moves under a transfer',
  source: 'Linux commit 104016eb671e: unpinned twice when the mapping failed',
  hosts: 1,
  devices: 1,
  ownership: 'owner',
  policies: EVERY_POLICY,
  async run(stage) {
    const a = await stage.actor('A');
    const { device, dmaBuf } = await exportsMemory(a, BYTES);
    const verbs = await a.needs('opens the NIC', 'openVerbs');
    const before = await a.needs('looks at /proc/self/fdinfo of the dma-buf', 'references', dmaBuf);
    const tooLong = await a.does(
      'registers more than the buffer has',
      'registerDmaBuf',
      verbs,
      dmaBuf,
      2 * BYTES,
    );
    const noBuffer = await a.does(
      "registers the device's own fd",
      'registerDmaBuf',
      verbs,
      device,
      BYTES,
    );
    const noFd = await a.does(
      'registers a number that is no fd',
      'registerDmaBuf',
      verbs,
      900,
      BYTES,
    );
    const after = await a.needs('looks again', 'references', dmaBuf);
    const mr = await a.needs('registers it as it should', 'registerDmaBuf', verbs, dmaBuf, BYTES);
    await a.needs('deregisters', 'deregister', mr);
    const end = await a.needs('looks a last time', 'references', dmaBuf);
    const codes = [tooLong, noBuffer, noFd].map((outcome) => (outcome.ok ? 'ok' : outcome.code));
    await stage.verdict(
      before === after && after === end && codes.join(' ') === 'EINVAL EINVAL EBADF',
      `Three failures (${codes.join(', ')}) and one success left ${end} reference, as before.`,
    );
  },
};

export const selfImport: Scenario = {
  id: 'R8',
  name: 'self-import',
  title: 'a device imports a dma-buf of its own',
  question: 'Does the driver lock itself out when exporter and importer are the same?',
  risk: 'a process that deadlocks itself, or a device that keeps itself open for ever',
  source: 'i915 dma-buf self-import: recursive reservation lock',
  hosts: 1,
  devices: 1,
  ownership: 'owner',
  policies: ['owner', 'owner-2021', 'none'],
  async run(stage) {
    const a = await stage.actor('A');
    const b = await stage.actor('B');
    const device = await a.needs('opens the device', 'open', 0);
    const address = await a.needs('allocates 64 KiB', 'allocate', device, BYTES);
    const dmaBuf = await a.needs('exports it', 'exportDmaBuf', device, address, BYTES);
    const imported = await a.needs(
      'imports it into the same device',
      'importDmaBuf',
      device,
      dmaBuf,
      BYTES,
    );
    const other = await a.needs('allocates another 64 KiB', 'allocate', device, BYTES);
    await a.needs(
      'writes a text through the import',
      'write',
      device,
      imported,
      'through the import',
    );
    const ending = await a.needs(
      'copies it on, out of the original',
      'copy',
      device,
      address,
      other,
      BYTES,
    );
    const text = await a.needs('reads the copy', 'read', device, other, 18);
    await a.needs('closes the dma-buf fd; the import stays', 'close', dmaBuf);
    await a.needs('closes the device: it must not keep itself', 'close', device);
    const opened = await b.does('opens the device', 'openPatiently', 0);
    await stage.verdict(
      ending === 'COMPLETED' && text === 'through the import' && opened.ok,
      'Import, copy and close went through, and the device did not keep itself open.',
    );
  },
};

export const descriptorZero: Scenario = {
  id: 'R17',
  name: 'descriptor-zero',
  title: 'a dma-buf whose descriptor is number 0',
  question: 'Does every layer take 0 for a descriptor?',
  risk: 'a valid buffer treated as none',
  source: 'HCL hl_ofi_component.cpp tests "fd > 0"',
  hosts: 1,
  devices: 1,
  ownership: 'owner',
  policies: EVERY_POLICY,
  async run(stage) {
    const a = await stage.actor('A');
    const first = await a.needs('opens the device', 'open', 0);
    const device = await a.needs('duplicates the descriptor', 'dup', first);
    await a.needs(`closes fd ${first}, so that the number is free`, 'close', first);
    const address = await a.needs('allocates 64 KiB', 'allocate', device, BYTES);
    const dmaBuf = await a.needs('exports a dma-buf', 'exportDmaBuf', device, address, BYTES);
    const verbs = await a.needs('opens the NIC', 'openVerbs');
    const mr = await a.does('registers fd 0 for RDMA', 'registerDmaBuf', verbs, dmaBuf, BYTES);
    if (mr.ok) await must(a.quietly('deregister', mr.value));
    await stage.verdict(
      dmaBuf === 0 && mr.ok,
      'The kernel gave 0, as the lowest free number, and verbs took it.',
    );
  },
};
