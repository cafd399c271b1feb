/** The table of behaviours itself, and the calls and flags that are left out. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { fi_setopt } from '../../node/fabric/endpoint.ts';
import { FI_ERRNO } from '../../node/fabric/fabric.ts';
import { FI_FLAGS, FLAGS_NOT_SUPPORTED, FLAGS_TAKEN } from '../../node/fabric/flags.ts';
import { type FiLeftOut, fi_left_out, LEFT_OUT } from '../../node/fabric/left-out.ts';
import { fi_recvmsg, fi_sendmsg } from '../../node/fabric/msg.ts';
import { OPTIONS_LEFT_OUT } from '../../node/fabric/options.ts';
import { fi_readmsg, fi_writemsg } from '../../node/fabric/rma.ts';
import { fi_trecvmsg } from '../../node/fabric/tagged.ts';
import { FabricWorld } from '../node/fabric/world.ts';
import { FABRIC_BEHAVIOURS } from './fabric-behaviours.ts';
import { part } from './fabric-world.ts';

const FOLDER = import.meta.dirname;
const sources = readdirSync(FOLDER)
  .filter((name) => /^fabric-.*\.test\.ts$/.test(name))
  .map((name) => readFileSync(join(FOLDER, name), 'utf8'));
const applying = FABRIC_BEHAVIOURS.filter(({ left }) => left === undefined);

describe('behaviours that fabtests check', () => {
  it('are each in the table once', () => {
    const names = FABRIC_BEHAVIOURS.map(({ fabtest, name }) => `${fabtest}: ${name}`);
    expect(new Set(names).size).toBe(names.length);
  });

  it.each([...new Set(applying.map(({ fabtest }) => fabtest))])(
    'of %s are tested in one file, completely',
    (fabtest) => {
      const complete = sources.filter((source) =>
        source.slice(source.lastIndexOf('behavesCompletely(')).includes(`'${fabtest}'`),
      );
      expect(complete).toHaveLength(1);
    },
  );

  it.each(FABRIC_BEHAVIOURS.filter(({ left }) => left !== undefined))(
    'left out of $fabtest: $name, because $left',
    ({ left = '' }) => {
      expect(left.split(' ').length).toBeGreaterThan(3);
    },
  );
});

describe('what is left out', () => {
  it.each(Object.keys(LEFT_OUT) as FiLeftOut[])('%s answers that it is not there', (call) => {
    const answer = fi_left_out(call);
    expect(['FI_ENOSYS', 'FI_EOPNOTSUPP']).toContain(answer);
    expect(FI_ERRNO).toHaveProperty(answer);
    expect(LEFT_OUT[call][1]).not.toBe('');
  });

  it('no call is both there and left out', async () => {
    const folder = join(FOLDER, '../../node/fabric');
    const files = readdirSync(folder).filter((name) => name !== 'left-out.ts');
    const code = files.map((name) => readFileSync(join(folder, name), 'utf8')).join('\n');
    const present = [...code.matchAll(/export (?:async )?function (fi_\w+)/g)].map(
      ([, name]) => name,
    );
    expect(present).toContain('fi_tsend');
    expect(present.filter((name) => name !== undefined && name in LEFT_OUT)).toEqual([]);
  });

  it.each(OPTIONS_LEFT_OUT)('option %s is FI_ENOPROTOOPT', (name) => {
    const { endpoint } = new FabricWorld(1).rank(0);
    expect(fi_setopt(endpoint, name, 1)).toBe('FI_ENOPROTOOPT');
  });

  it.each(FI_FLAGS)('flag %s: each call takes it, or refuses it and does nothing', async (flag) => {
    const world = new FabricWorld(1);
    world.introduce();
    await world.wait(10);
    const a = world.rank(0);
    const { mr } = await a.register(64);
    const buffer = new Uint8Array(4);
    const host = { kind: 'host', bytes: buffer } as const;
    const remote = { local: part(mr), dest: 0, remoteAddress: mr.address, key: mr.key };
    const calls = {
      send: () => fi_sendmsg(a.endpoint, { buffer: host, dest: 0 }, [flag]),
      write: () => fi_writemsg(a.endpoint, remote, [flag]),
      read: () => fi_readmsg(a.endpoint, remote, [flag]),
      recv: () => fi_recvmsg(a.endpoint, { buffer }, [flag]),
      trecv: () => fi_trecvmsg(a.endpoint, { buffer, tag: 1n, context: 'c' }, [flag]),
    };
    for (const [family, call] of Object.entries(calls)) {
      const taken: readonly string[] = FLAGS_TAKEN[family as keyof typeof calls];
      const answer = call();
      if (FLAGS_NOT_SUPPORTED.includes(flag)) expect(answer).toBe('FI_EOPNOTSUPP');
      else if (!taken.includes(flag)) expect(answer).toBe('FI_EBADFLAGS');
      else expect(answer).not.toBe('FI_EBADFLAGS');
      await world.wait(10);
      if (answer !== undefined) expect(a.errors).toEqual([]);
      a.completions.length = 0;
      a.errors.length = 0;
    }
  });
});
