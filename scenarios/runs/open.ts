/** R2, R19, R20: who may open a device, and what keeps it. */
import { EVERY_POLICY, type Scenario } from '../scenario.ts';
import type { Actor, Stage } from '../stage.ts';
import { must } from './connection.ts';
import { exportsMemory } from './memory.ts';

const BYTES = 65_536;

export const closeWithDmaBuf: Scenario = {
  id: 'R2',
  name: 'close-with-dma-buf',
  title: 'the device is closed while a dma-buf of it lives',
  question: 'Does the close wait, kill, or take the buffer back?',
  risk: 'memory that somebody still reaches, in the hands of its next user; or a process killed for a forgotten descriptor',
  source: 'habanalabs of Linux 5.16 (reset and kill) and commit 09524eb8824e of Linux 6.4 (wait)',
  hosts: 1,
  devices: 1,
  ownership: 'owner',
  policies: EVERY_POLICY,
  async run(stage) {
    const a = await stage.actor('A');
    const b = await stage.actor('B');
    const { device, dmaBuf } = await exportsMemory(a, BYTES);
    await a.does('closes the device; its dma-buf fd stays open', 'close', device);
    if (stage.ownership === 'owner') {
      const refused = await b.does('tries to open the device', 'open', 0);
      await a.needs('closes the dma-buf', 'close', dmaBuf);
      const opened = await opensInTime(b, 'opens the device now');
      await stage.verdict(
        !refused.ok && opened,
        'The dma-buf held the device file: the next open waited its turn, nobody was killed.',
      );
      return;
    }
    const opened = await opensInTime(b, 'opens the device');
    await endOf(stage, a, dmaBuf, opened);
  },
};

/** The policies under which B is let in although the dma-buf was not closed by its holder. */
async function endOf(stage: Stage, a: Actor, dmaBuf: number, opened: boolean): Promise<void> {
  if (stage.ownership === 'revoke' || stage.ownership === 'none') {
    await useOf(stage, a, dmaBuf, opened);
    return;
  }
  const left = await a.quietly('close', dmaBuf).catch(() => undefined);
  await stage.verdict(
    opened && (left === undefined || !left.ok),
    'Closing with a live dma-buf ended in a hard reset: A was killed, its dma-buf went with it, and then the device was free.',
  );
}

/** Whether A's dma-buf is still of use to it, while B has the device. */
async function useOf(stage: Stage, a: Actor, dmaBuf: number, opened: boolean): Promise<void> {
  const verbs = await must(a.quietly('openVerbs'));
  const mr = await a.does('registers its dma-buf now', 'registerDmaBuf', verbs, dmaBuf, BYTES);
  if (stage.ownership === 'revoke') {
    await stage.verdict(
      opened && !mr.ok && mr.code === 'ENODEV',
      'The close took the dma-buf back at once: B need not wait, and A can do nothing with it.',
    );
  } else {
    const sentence = 'B has the device, and A has just registered its memory for RDMA.';
    await stage.verdict(!(opened && mr.ok), sentence, 'broken');
  }
}

export const resetExhausted: Scenario = {
  id: 'R19',
  name: 'reset-exhausted',
  title: 'a hard reset cannot get rid of a holder that it does not know',
  question: 'What if the process that keeps the memory is not the one that opened the device?',
  risk: 'a device handed on while a process that nobody counted still reaches it',
  source: 'habanalabs device.c: pending reset trials, -ETIME',
  hosts: 1,
  devices: 1,
  ownership: 'owner-2021',
  policies: ['owner-2021'],
  async run(stage) {
    const a = await stage.actor('A');
    const d = await stage.actor('D');
    const b = await stage.actor('B');
    const { device, dmaBuf } = await exportsMemory(a, BYTES);
    const passed = await a.passes(dmaBuf, d);
    const verbs = await d.needs('opens the NIC', 'openVerbs');
    await d.needs('registers the dma-buf for RDMA', 'registerDmaBuf', verbs, passed, BYTES);
    await a.does('closes the device', 'close', device);
    await stage.remark(
      'The driver resets the device and kills its opener A; it has no list of importers.',
    );
    const code = await lastRefusal(b);
    await b.tells('tries to open the device until the answer is final', code);
    const status = await b.does('asks the control node for the status', 'status', 0);
    const held = code === 'EPERM' && status.ok && status.value === 'MALFUNCTION';
    await stage.verdict(
      held,
      'The trials ran out while D kept its region: the device is disabled, and nobody got memory that D still reaches.',
    );
  },
};

/** Errors while somebody, or something, has the device. */
export const openErrors: Scenario = {
  id: 'R20',
  name: 'open-errors',
  title: 'opening a device twice, while it is scrubbed, and where there is none',
  question: 'Which error says what?',
  risk: 'a program that gives up where it should wait, or waits where it should give up',
  source: 'hl-thunk tests open_close.c; habanalabs_drv.c',
  hosts: 1,
  devices: 1,
  ownership: 'owner',
  policies: EVERY_POLICY,
  async run(stage) {
    const a = await stage.actor('A');
    const b = await stage.actor('B');
    const device = await a.needs('opens the device', 'open', 0);
    await a.needs('allocates 64 MiB', 'allocate', device, 64 * 1024 * 1024);
    const second = await b.does('opens the device, too', 'open', 0);
    const control = await b.does('opens the control node', 'openControl', 0);
    const missing = await b.does('opens a device that is not there', 'open', 7);
    const codes = await a.needs(
      'closes the device and opens it again and again until it is let in',
      'closeAndReopen',
      device,
    );
    const held =
      codeOf(second) === 'EBUSY' &&
      control.ok &&
      codeOf(missing) === 'ENXIO' &&
      codes.every((code) => code === 'EAGAIN') &&
      codes.length > 0;
    await stage.verdict(
      held,
      `In use: EBUSY. While its memory is scrubbed: EAGAIN (${codes.length} times). No such device: ENXIO. The control node always opens.`,
    );
  },
};

function codeOf(outcome: { readonly ok: boolean; readonly code?: string }): string | undefined {
  return outcome.code;
}

/** Whether the device is given within ten seconds. */
async function opensInTime(b: Actor, action: string): Promise<boolean> {
  for (let trial = 0; trial < 100; trial++) {
    const outcome = await b.quietly('open', 0);
    if (outcome.ok) {
      await b.tells(action, `fd ${outcome.value}`);
      return true;
    }
    await b.quietly('sleep', 100);
  }
  await b.does(action, 'open', 0);
  return false;
}

/** The error of the open once it is no more that the device is busy. */
async function lastRefusal(b: Actor): Promise<string> {
  let code = 'none';
  for (let trial = 0; trial < 200; trial++) {
    const outcome = await b.quietly('open', 0);
    if (outcome.ok) return 'opened';
    code = outcome.code;
    if (code !== 'EAGAIN' && code !== 'EBUSY') return code;
    await b.quietly('sleep', 100);
  }
  return code;
}
