/** The exporter takes buffers back and gives them again. */
import { dma_buf_revoke, dma_buf_unrevoke } from '../../../../node/dmabuf/revoke.ts';
import { revoked, revoking, unrevoked } from '../lifetimes.ts';
import type { ShadowBuffer } from '../shadow-buffer.ts';
import type { World } from '../world.ts';
import type { Operation } from './operation.ts';

/** Virtual time that a revocation may take: its own deadline, and some. */
const REVOKE_MS_MAX = 6_000;

/** The exporter takes a buffer back, as its driver does around a reset (temporary) or at close. */
async function revoke(
  world: World,
  buffer: ShadowBuffer,
  mode: 'temporary' | 'permanent',
): Promise<string> {
  const stateBefore = buffer.dmaBuf.state;
  const startMs = world.scheduler.clock.now();
  const unstoppable = [...buffer.regions].some((region) => region.mode === 'pinned');
  if (!unstoppable) revoking(buffer);
  const revocation = dma_buf_revoke(buffer.dmaBuf, mode, { scheduler: world.scheduler });
  // One that could not be stopped may have been letting go already.
  if (buffer.dmaBuf.state !== 'live') revoking(buffer);
  const result = await revocation;
  const tookMs = world.scheduler.clock.now() - startMs;
  world.findings.check(
    'I1',
    tookMs <= REVOKE_MS_MAX,
    () => `Expected revocation of buffer ${buffer.id} in bounded time but it took ${tookMs} ms`,
  );
  if (result === 'EOPNOTSUPP' && unstoppable) return `buffer ${buffer.id} ${mode} EOPNOTSUPP`;
  const isTerminal = stateBefore === 'permanentlyRevoked';
  world.findings.check(
    'I20',
    isTerminal && mode === 'temporary'
      ? result === 'EINVAL'
      : result !== 'EINVAL' || mode === 'temporary',
    () => `Expected ${mode} revocation of a ${stateBefore} buffer to be legal but found ${result}`,
  );
  world.findings.check(
    'I1',
    result !== 'ETIMEDOUT',
    () => `Expected every importer of buffer ${buffer.id} to unmap in time`,
  );
  const { state } = buffer.dmaBuf;
  if (state === 'temporarilyRevoked' || state === 'permanentlyRevoked') revoked(buffer, state);
  else if (state === 'released') revoked(buffer, 'permanentlyRevoked');
  const mapped = [...buffer.dmaBuf.attachments].filter(({ mapping }) => mapping !== undefined);
  world.findings.check(
    'I2',
    mapped.length === 0 || state === 'live',
    () => `Expected nobody to have revoked buffer ${buffer.id} mapped but ${mapped.length} have`,
  );
  return `buffer ${buffer.id} ${mode} ${result ?? 'ok'}`;
}

function revocation(mode: 'temporary' | 'permanent', weight: number): Operation {
  return {
    kind: `revoke ${mode}`,
    weight,
    prepare(world) {
      const choices = [...world.model.buffers].filter(
        ({ dmaBuf, state }) => dmaBuf.file.references > 0 && state !== 'revoking',
      );
      if (choices.length === 0) return undefined;
      const buffer = world.pick(choices);
      return () => revoke(world, buffer, mode);
    },
  };
}

export const REVOCATION_OPERATIONS: readonly Operation[] = [
  revocation('temporary', 1.2),
  revocation('permanent', 0.8),
  {
    kind: 'unrevoke',
    weight: 2,
    prepare(world) {
      const choices = [...world.model.buffers].filter(
        ({ dmaBuf, state }) =>
          dmaBuf.file.references > 0 && (state === 'temporarilyRevoked' || world.chance(0.1)),
      );
      if (choices.length === 0) return undefined;
      const buffer = world.pick(choices);
      return async () => {
        const before = buffer.dmaBuf.state;
        const result = dma_buf_unrevoke(buffer.dmaBuf);
        const legal = before === 'temporarilyRevoked' || before === 'live';
        world.findings.check(
          'I20',
          (result === undefined) === legal,
          () => `Expected unrevoke of a ${before} buffer to say so but found ${result ?? 'ok'}`,
        );
        if (result === undefined) unrevoked(buffer);
        return `buffer ${buffer.id} ${before} ${result ?? 'ok'}`;
      };
    },
  },
];
