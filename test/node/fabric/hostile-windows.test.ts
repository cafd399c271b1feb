/** Peers that lie about windows: nothing is mapped, handed over or copied for a word of theirs that does not hold. */
import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { defined } from '../../../common/assert.ts';
import { KiB } from '../../../common/bytes.ts';
import { fi_close } from '../../../node/fabric/close.ts';
import { ANSWERS_MAX } from '../../../node/fabric/connection.ts';
import type { FiAccess, FiMr } from '../../../node/fabric/fabric.ts';
import {
  MESSAGE_HEADER_BYTES,
  type MessageHeader,
  readMessageHeader,
} from '../../../node/fabric/message-header.ts';
import { fi_mr_reg } from '../../../node/fabric/mr.ts';
import { RECV_DEPTH } from '../../../node/fabric/queue-pair.ts';
import { fi_write } from '../../../node/fabric/rma.ts';
import { GRANTS_MAX } from '../../../node/fabric/window-grants.ts';
import {
  readWindowGrant,
  WINDOW_BODY_BYTES,
  WINDOW_VALUE_MAX,
  WINDOW_WORDS,
  type WindowGrant,
  writeWindowGrant,
} from '../../../node/fabric/window-message.ts';
import { part } from '../../conformance/fabric-world.ts';
import { isMissing, openDescriptors, whyMissing } from '../os/this-system.ts';
import { attack, expectAborted, post, send } from './hostile-world.ts';
import { P2pWorld } from './p2p-world.ts';
import { EVERY_ACCESS, ok } from './world.ts';

const BYTES = 64 * KiB;
const KEY = 77;
const GRANT: WindowGrant = { address: 0, length: BYTES, file: 1, page: 2, word: 0, value: 1 };

let world: P2pWorld | undefined;
afterEach(async () => {
  vi.restoreAllMocks();
  for (const { process } of world?.ranks ?? []) process.exit();
  await world?.close();
  world = undefined;
});

/** The victim's host is 0, the attacker's 1; `machine` are the victim's calls. */
async function attacked() {
  const made = await attack(new P2pWorld(2, {}, 'none'));
  world = made.world;
  const [mine, theirs] = made.world.hosts.map(({ machine }) => machine);
  const machine = defined(mine, 'a host');
  const calls = {
    map: vi.spyOn(machine, 'map'),
    offer: vi.spyOn(machine, 'offer'),
    createFor: vi.spyOn(machine, 'createFor'),
  };
  return { ...made, calls, theirs: defined(theirs, 'a host') };
}

type Attacked = Awaited<ReturnType<typeof attacked>>;

const windows = ({ victim }: Attacked) => victim.endpoint.connection(0)?.direct?.windowCount;

/** The victim asks the attacker for a window. */
async function asks({ world: made, victim }: Attacked, key = KEY): Promise<void> {
  victim.endpoint.connection(0)?.direct?.want(key);
  await made.wait(1);
}

/** The header of the next messages is not the last one's. */
let sequence = 100;
function windowMessage(
  header: Partial<MessageHeader>,
  body: Uint8Array = new Uint8Array(),
): Uint8Array {
  sequence++;
  const fields = { kind: 'WINDOW', tagged: false, tag: 0n, data: KEY, sequence } as const;
  const bytes = send({ ...fields, ...header }, body.byteLength);
  bytes.set(body, MESSAGE_HEADER_BYTES);
  return bytes;
}

const granting = (grant: Partial<WindowGrant>) =>
  windowMessage({}, writeWindowGrant({ ...GRANT, ...grant }));

/** A region that the attacker has asked for, and what it was told. */
async function asked(scene: Attacked, mr: FiMr) {
  post(scene.sender, windowMessage({ kind: 'WINDOW_WANTED', data: Number(mr.key) }));
  await scene.world.wait(1);
  const [bytes = new Uint8Array(), ...more] = scene.heard();
  expect(more).toEqual([]);
  const header = readMessageHeader(bytes);
  expect(header).toMatchObject({ kind: 'WINDOW', data: Number(mr.key), length: 0 });
  const isOpen = header?.outcome === 'DONE';
  return isOpen ? readWindowGrant(bytes.subarray(MESSAGE_HEADER_BYTES)) : undefined;
}

const body = (length: number) => new Uint8Array(length).fill(1);
const WRITTEN = { kind: 'WRITTEN', length: 8 } as const;
const WANTED = { kind: 'WINDOW_WANTED' } as const;

describe.skipIf(isMissing)(`words that no endpoint says${whyMissing}`, () => {
  const cases: readonly (readonly [string, () => Uint8Array])[] = [
    ['written, without a window', () => windowMessage(WRITTEN)],
    ['written, without data', () => windowMessage({ ...WRITTEN, data: undefined })],
    ['written, no byte', () => windowMessage({ ...WRITTEN, length: 0 })],
    ['written, with bytes behind it', () => windowMessage(WRITTEN, body(8))],
    ['written, with an outcome', () => windowMessage({ ...WRITTEN, outcome: 'FAILED' })],
    ['a question without a key', () => windowMessage({ ...WANTED, data: undefined })],
    ['a question with a length', () => windowMessage({ ...WANTED, length: 1 })],
    ['a question with an outcome', () => windowMessage({ ...WANTED, outcome: 'FAILED' })],
    ['a question with a body', () => windowMessage(WANTED, body(WINDOW_BODY_BYTES))],
    ['a window without a body', () => windowMessage({})],
    ['a window with too short a body', () => windowMessage({}, body(WINDOW_BODY_BYTES - 1))],
    ['a window with too long a body', () => windowMessage({}, body(WINDOW_BODY_BYTES + 1))],
    ['a window without a key', () => windowMessage({ data: undefined }, writeWindowGrant(GRANT))],
    ['a window with a length', () => windowMessage({ length: 1 }, writeWindowGrant(GRANT))],
    ['an answer that is neither', () => windowMessage({ outcome: 'UNREADABLE' })],
    ['a refusal with a body', () => windowMessage({ outcome: 'FAILED' }, body(WINDOW_BODY_BYTES))],
    ['a window on no byte', () => granting({ length: 0 })],
    ['a window beyond all addresses', () => granting({ address: Number.MAX_SAFE_INTEGER - 1 })],
    ['a file without a number', () => granting({ file: 0 })],
    ['a page without a number', () => granting({ page: 0 })],
    ['a page that is the file', () => granting({ page: GRANT.file })],
    ['a word behind the page', () => granting({ word: WINDOW_WORDS })],
    ['a word that nobody has to write', () => granting({ value: 0 })],
    ['a value that no word has', () => granting({ value: WINDOW_VALUE_MAX + 1 })],
  ];

  it.each(cases)('%s: the peer is given up, and nothing is looked for', async (_, message) => {
    const scene = await attacked();
    await asks(scene);
    post(scene.sender, message());
    await scene.world.wait(1);
    expectAborted(scene.victim);
    expect(scene.victim.completions).toEqual([]);
    for (const call of Object.values(scene.calls)) expect(call).not.toHaveBeenCalled();
  });
});

describe.skipIf(isMissing)(`windows that are none${whyMissing}`, () => {
  /** Memory that the attacker has handed to the victim, to be let go by the test. */
  function handed({ theirs, victim }: Attacked) {
    return defined(theirs.createFor(victim.domain.nic.transport.nodeId), 'memory');
  }

  it('one that was not asked for is let go, unmapped, and may be asked for later', async () => {
    const scene = await attacked();
    const files = [handed(scene), handed(scene)];
    const before = openDescriptors();
    for (const { number: file } of files) {
      post(scene.sender, granting({ file, page: 1_000_000 }));
      post(scene.sender, windowMessage({ outcome: 'FAILED' }));
    }
    await scene.world.wait(1);
    expect(windows(scene)).toBe(0);
    expect(scene.calls.map).not.toHaveBeenCalled();
    // They lay in a socket; the socket is one more.
    expect(openDescriptors()).toBe(before + 1);
    await asks(scene);
    const [file, page] = [handed(scene), handed(scene)];
    post(scene.sender, granting({ file: file.number, page: page.number }));
    await scene.world.wait(1);
    expect(scene.victim.endpoint.connection(0)?.error).toBeUndefined();
    expect(scene.calls.map).toHaveBeenCalledTimes(2);
    for (const { unmap } of [...files, file, page]) unmap();
  });

  it.each([
    ['nothing was handed over', {}],
    ['the file was not', { file: 1_000_000 }],
    ['the page was not', { page: 1_000_000 }],
    ['the window is longer than the file', { length: BYTES + 1 }],
  ])('%s: there is no window, and nothing stays mapped', async (_, lie) => {
    const scene = await attacked();
    const [file, page] = [handed(scene), handed(scene)];
    const truth = { file: file.number, page: page.number };
    await asks(scene);
    const isNothing = Object.keys(lie).length === 0;
    post(
      scene.sender,
      granting(isNothing ? { file: 1_000_000, page: 1_000_001 } : { ...truth, ...lie }),
    );
    await scene.world.wait(1);
    expect(windows(scene)).toBe(0);
    expect(scene.victim.endpoint.connection(0)?.error).toBeUndefined();
    // At most the page: no byte of a file that is no window.
    expect(scene.world.hosts[0]?.hbm.importCount).toBeLessThanOrEqual(1);
    fi_close(scene.victim.endpoint);
    expect(scene.world.hosts[0]?.hbm.importCount).toBe(0);
    for (const { unmap } of [file, page]) unmap();
  });

  it('a word that the peer changes closes the window: nothing is reported as written through it', async () => {
    const scene = await attacked();
    const [file, page] = [handed(scene), handed(scene)];
    await asks(scene);
    new Int32Array(page.bytes.buffer, page.bytes.byteOffset, 1)[0] = GRANT.value;
    post(scene.sender, granting({ file: file.number, page: page.number }));
    await scene.world.wait(1);
    expect(windows(scene)).toBe(1);
    const { mr, memory } = await scene.victim.register(BYTES);
    memory.bytes.fill(7);
    const write = () => fi_write(scene.victim.endpoint, part(mr), 0, 0, BigInt(KEY), 'w');
    expect([write(), file.bytes[0]]).toEqual([undefined, 7]);
    page.bytes.fill(0);
    memory.bytes.fill(8);
    expect([write(), file.bytes[0]]).toEqual([undefined, 7]);
    expect(windows(scene)).toBe(0);
    for (const { unmap } of [file, page]) unmap();
  });
});

describe.skipIf(isMissing)(`what a peer may ask${whyMissing}`, () => {
  it('memory that the key does not open to it is not handed over', async () => {
    const scene = await attacked();
    const { victim, world: made } = scene;
    const readOnly = await victim.register(BYTES, ['FI_REMOTE_READ']);
    const writeOnly = await victim.register(BYTES, ['FI_REMOTE_WRITE']);
    const local = await victim.register(BYTES, ['FI_READ', 'FI_WRITE']);
    const closed = await victim.register(BYTES);
    const revoked = await victim.register(BYTES);
    const others = await made.rank(1).register(BYTES);
    const rights: readonly FiAccess[] = EVERY_ACCESS;
    const plain = ok(fi_mr_reg(victim.domain, new Uint8Array(BYTES), rights, 0, 0n, []));
    fi_close(closed.mr);
    revoked.memory.takeBack();
    for (const { mr } of [readOnly, writeOnly, local, closed, revoked, others, { mr: plain }]) {
      expect(await asked(scene, mr)).toBeUndefined();
    }
    expect(scene.calls.offer).not.toHaveBeenCalled();
    // The other way round: one that is open to it is.
    expect(await asked(scene, (await victim.register(BYTES)).mr)).toMatchObject({ length: BYTES });
  });

  it('it may not tell of more bytes than it was ever let write', async () => {
    const scene = await attacked();
    const { mr } = await scene.victim.register(100);
    expect(await asked(scene, mr)).toMatchObject({ length: 100 });
    post(scene.sender, windowMessage({ kind: 'WRITTEN', data: 5, length: 100 }));
    await scene.world.wait(1);
    const told = { kind: 'remoteWriteData', data: 5, length: 100, source: 0 };
    expect(scene.victim.completions).toMatchObject([told]);
    post(scene.sender, windowMessage({ kind: 'WRITTEN', data: 6, length: 101 }));
    await scene.world.wait(1);
    expectAborted(scene.victim);
    expect(scene.victim.completions).toHaveLength(1);
  });

  it('more questions than it takes answers for end the connection', async () => {
    const scene = await attacked();
    const { mr } = await scene.victim.register(BYTES);
    const question = () => windowMessage({ kind: 'WINDOW_WANTED', data: Number(mr.key) });
    const isUp = () => scene.victim.endpoint.connection(0)?.error === undefined;
    for (let index = 0; index < RECV_DEPTH + ANSWERS_MAX; index++) {
      post(scene.sender, question());
      await scene.world.wait(1);
    }
    expect(isUp()).toBe(true);
    post(scene.sender, question());
    await scene.world.wait(1);
    expectAborted(scene.victim);
    expect(scene.calls.offer.mock.calls.length).toBeLessThanOrEqual(GRANTS_MAX);
  });
});

describe.skipIf(isMissing)(`anything${whyMissing}`, () => {
  it('whatever comes, no byte of the victim’s changes, and nothing stays mapped', async () => {
    const number = fc.constantFrom(0, 1, 2, 3, BYTES, WINDOW_WORDS, 2 ** 31, 2 ** 32 - 1);
    const grant = fc.record({
      address: fc.constantFrom(0, 1, 0x20_0000, 2 ** 53 - 1),
      length: number,
      file: number,
      page: number,
      word: number,
      value: number,
    });
    const header = fc.record({
      kind: fc.constantFrom('WINDOW', 'WINDOW', 'WINDOW_WANTED', 'WRITTEN', 'EAGER'),
      outcome: fc.constantFrom('DONE', 'DONE', 'FAILED', 'UNREADABLE'),
      data: fc.option(fc.constantFrom(0, KEY, 1, 0xffff_ffff), { nil: undefined }),
      length: fc.constantFrom(0, 0, 1, WINDOW_BODY_BYTES, 0xffff_ffff),
    } as const);
    const bodies = fc.oneof(
      grant.map(writeWindowGrant),
      fc.uint8Array({ maxLength: WINDOW_BODY_BYTES + 1 }),
      fc.constant(new Uint8Array()),
    );
    const messages = fc.array(fc.tuple(header, bodies), { minLength: 1, maxLength: 10 });
    await fc.assert(
      fc.asyncProperty(messages, async (said) => {
        const scene = await attacked();
        const { mr, memory } = await scene.victim.register(BYTES);
        memory.bytes.fill(3);
        await asks(scene);
        for (const [fields, bytes] of said) {
          const key = fields.data === KEY ? Number(mr.key) : fields.data;
          post(scene.sender, windowMessage({ ...fields, data: key }, bytes));
        }
        await scene.world.wait(20);
        expect(memory.bytes.every((byte) => byte === 3)).toBe(true);
        expect(windows(scene)).toBe(0);
        fi_close(scene.victim.endpoint);
        expect(scene.world.hosts[0]?.hbm.importCount).toBe(0);
        for (const { process } of scene.world.ranks) process.exit();
        await scene.world.close();
        world = undefined;
      }),
      { numRuns: 30 },
    );
  });
});
