/** Buffers of one device in the address space of another: its DMA engine is the importer. */
import * as hlthunk from '../../../../node/device/hlthunk.ts';
import { type ShadowBuffer, type ShadowImport, SLOT_BYTES } from '../shadow-buffer.ts';
import type { Opening } from '../shadow-device.ts';
import type { SimulatedUser } from '../simulated-user.ts';
import type { World } from '../world.ts';
import { owners } from './device-operations.ts';
import { attempt, type Operation, outcomeOf } from './operation.ts';

const IMPORTS_MAX = 8;
const WAIT_US = 1_000_000;
/** The first slot of an allocation is for atomics. */
const FIRST_SLOT = 1;

async function importBuffer(
  world: World,
  user: SimulatedUser,
  deviceFd: number,
  opening: Opening,
  bufferFd: number,
  buffer: ShadowBuffer,
): Promise<string> {
  const stateBefore = buffer.state;
  const call = hlthunk.hlthunk_import_dmabuf_fd(user.channel, deviceFd, bufferFd, buffer.size);
  const imported = await attempt(user, call);
  buffer.watch?.watchImporters();
  const what = `${user.name} buffer ${buffer.id} ${outcomeOf(imported)}`;
  if (!imported.ok) return what;
  world.findings.check(
    'I20',
    stateBefore === 'live' || stateBefore === 'revoking' || buffer.state === 'live',
    () => `Expected buffer ${buffer.id}, which is ${stateBefore}, to refuse ${user.name}`,
  );
  if (opening.state !== 'open') return what;
  const state = buffer.state === 'live' ? 'live' : 'revoking';
  const pid = user.process.pid;
  const one: ShadowImport = { buffer, opening, pid, address: imported.value, state };
  world.model.imports.add(one);
  buffer.imports.add(one);
  return what;
}

/** An import, with the process and the descriptor of the device that made it. */
function pickImport(world: World) {
  const choices = owners(world).flatMap(({ user, fd, opening }) =>
    [...world.model.imports]
      .filter((one) => one.opening === opening && one.pid === user.process.pid)
      .map((one) => ({ user, fd, one })),
  );
  return choices.length === 0 ? undefined : world.pick(choices);
}

/** Reads a piece of the buffer into user memory through the importing device. */
async function readImport(
  world: World,
  user: SimulatedUser,
  fd: number,
  one: ShadowImport,
): Promise<string> {
  const { buffer } = one;
  const slots = buffer.slots.filter(({ writer }, index) => index >= FIRST_SLOT && writer === 0);
  if (slots.length === 0) return 'no slot';
  const slot = world.pick(slots);
  slot.readers++;
  user.staging = true;
  const stateBefore = one.state;
  const { bytes } = buffer.opening.device;
  const expected = bytes.slice(slot.offset, slot.offset + SLOT_BYTES);
  const { channel } = user;
  const read = async () => {
    const host = await hlthunk.hlthunk_host_memory_map(channel, fd, 0, SLOT_BYTES);
    const source = one.address + slot.offset - buffer.offset;
    const job = { kind: 'dma', source, destination: host, bytes: SLOT_BYTES } as const;
    const sequence = await hlthunk.hlthunk_command_submission(channel, fd, [job]);
    const status = await hlthunk.hlthunk_wait_for_cs(channel, fd, sequence, WAIT_US);
    await hlthunk.hlthunk_memory_unmap(channel, fd, host);
    return status;
  };
  const result = await attempt(user, read());
  slot.readers--;
  user.staging = false;
  const outcome = result.ok ? result.value : result.errno;
  if (outcome === 'COMPLETED') {
    world.findings.check(
      'I2',
      stateBefore !== 'dead',
      () => `Expected ${user.name} not to read buffer ${buffer.id} after it was revoked`,
    );
    const found = new Uint8Array(user.process.memory, 0, SLOT_BYTES);
    world.findings.check(
      'I6',
      Buffer.compare(found, expected) === 0,
      () => `Expected DMA of ${user.name} to read what is in buffer ${buffer.id}`,
    );
  }
  return `${user.name} buffer ${buffer.id} ${stateBefore} ${outcome}`;
}

export const IMPORT_OPERATIONS: readonly Operation[] = [
  {
    kind: 'import',
    weight: 6,
    prepare(world) {
      if (world.model.imports.size >= IMPORTS_MAX) return undefined;
      const choices = owners(world).flatMap(({ user, fd, opening }) =>
        user
          .buffers()
          .filter(({ buffer }) => buffer.opening.device !== opening.device)
          .map((held) => ({ user, fd, opening, held })),
      );
      if (choices.length === 0) return undefined;
      const { user, fd, opening, held } = world.pick(choices);
      return () => importBuffer(world, user, fd, opening, held.fd, held.buffer);
    },
  },
  {
    kind: 'readImport',
    weight: 5,
    prepare(world) {
      const choice = pickImport(world);
      if (choice === undefined || choice.user.staging) return undefined;
      return () => readImport(world, choice.user, choice.fd, choice.one);
    },
  },
  {
    kind: 'unmapImport',
    weight: 2.5,
    prepare(world) {
      const choice = pickImport(world);
      if (choice === undefined) return undefined;
      const { user, fd, one } = choice;
      return async () => {
        world.model.imports.delete(one);
        one.buffer.imports.delete(one);
        const call = hlthunk.hlthunk_memory_unmap(user.channel, fd, one.address);
        return `${user.name} buffer ${one.buffer.id} ${outcomeOf(await attempt(user, call))}`;
      };
    },
  },
];
