/** The end of a run: everybody closes everything, and then nothing may be left. */
import { ibv_close_device } from '../../../node/verbs/context.ts';
import { poll } from './completions.ts';
import { heal } from './operations/fault-operations.ts';
import { disconnect } from './operations/verbs-operations.ts';
import type { World } from './world.ts';

/** Virtual time for requests to end: retries of a queue pair, and of a link. */
const TRAFFIC_MS = 5_000;
const CLOSING_MS = 60_000;
const SILENCE_MS = 120_000;

export async function settle(world: World): Promise<void> {
  heal(world);
  world.faults.disarm();
  world.delays.disarm();
  await world.scheduler.pass(TRAFFIC_MS);
  for (const { ends } of world.connections) {
    for (const end of ends) if (end.state === 'open') poll(world, end, 1024);
  }
  checkOutcomes(world);
  checkCounters(world);
  for (const connection of [...world.connections]) {
    if (world.chance(0.5)) await disconnect(world, connection);
  }
  for (const user of world.prng.shuffle([...world.users])) {
    if (user.state === 'dead') continue;
    if (world.chance(0.3) && user.verbs !== undefined) ibv_close_device(user.verbs.context);
    user.process.exit({ exitCode: 0 });
    if (world.chance(0.5)) await world.scheduler.pass(world.prng.below(3));
  }
  for (let waited = 0; waited < CLOSING_MS && !isFree(world); waited += 1_000) {
    await world.scheduler.pass(1_000);
  }
  checkNothingHeld(world);
}

/** I24: every signaled request has ended, unless its queue pair is gone. */
function checkOutcomes(world: World): void {
  for (const { ends } of world.connections) {
    for (const end of ends) {
      if (end.state === 'destroyed') continue;
      const [oldest] = end.sends.filter(({ signaled }) => signaled || end.failed !== undefined);
      world.findings.check(
        'I24',
        oldest === undefined,
        () =>
          `Expected work ${oldest?.number} on qp ${end.qp.qp_num} (${end.qp.state}) to have ended once the network was whole again`,
      );
    }
  }
}

/** I32: the counters say how often an atomic was executed. */
function checkCounters(world: World): void {
  for (const memory of world.memories) {
    const { counter, allocation, opening } = memory;
    if (opening !== opening.device.current || counter.added + counter.uncertain === 0) continue;
    const open = world.connections
      .flatMap(({ works }) => works)
      .filter(
        (work) =>
          work.kind === 'fetchAdd' &&
          work.outcome === 'pending' &&
          work.remote?.buffer.counter === counter,
      ).length;
    const value = Number(
      Buffer.from(opening.device.bytes.buffer, allocation.offset, 8).readBigUInt64LE(),
    );
    world.findings.check(
      'I32',
      value >= counter.added && value <= counter.added + counter.uncertain + open,
      () =>
        `Expected ${counter.added} fetch-and-adds, and ${counter.uncertain + open} that nobody knows about, but the counter is ${value}`,
    );
  }
}

function isFree(world: World): boolean {
  return world.devices.every(({ device }) => device.driver.usage().state === 'free');
}

/** I10: all counts are zero. */
function checkNothingHeld(world: World): void {
  const { findings, hosts } = world;
  for (const { host, devices, index } of hosts) {
    for (const { device, name } of devices) {
      const usage = device.driver.usage();
      const { state, ...counts } = usage;
      findings.check(
        'I10',
        state === 'free' && Object.values(counts).every((count) => count === 0),
        () =>
          `Expected ${name} to be free after everybody closed but found ${JSON.stringify(usage)}`,
      );
    }
    const { nic } = host;
    const held = {
      regions: nic.regionCount,
      queuePairs: nic.queuePairCount,
      contexts: nic.contexts.size,

      processes: host.processes.count,
    };
    findings.check(
      'I10',
      Object.values(held).every((count) => count === 0),
      () => `Expected host ${index} to hold nothing but found ${JSON.stringify(held)}`,
    );
  }
  for (const buffer of world.model.buffers) {
    buffer.watch?.checkEnd();
    const { file, attachments } = buffer.dmaBuf;
    findings.check(
      'I10',
      file.references === 0 && attachments.size === 0,
      () =>
        `Expected nobody to refer to dma-buf ${buffer.id} but found ${file.references} references and ${attachments.size} attachments`,
    );
  }
}

/** I42: no timer and no message is left once the hosts are down. */
export async function checkSilence(world: World): Promise<void> {
  await world.close();
  world.isOver = true;
  const end = await world.scheduler.run(new Promise(() => undefined), SILENCE_MS);
  world.findings.check(
    'I42',
    end === 'silent' && world.scheduler.live === 0,
    () => `Expected silence after all was closed but ${world.scheduler.live} events are left`,
  );
}
