/** Makes calls ready for shared memory. */
import type { CollectiveName } from '../../../collectives/collective.ts';
import { defined } from '../../../common/assert.ts';
import type { ProgramOffer } from '../program/program-collectives.ts';
import { ProgramRunner } from '../program/program-runner.ts';
import { type CallMaker, digestOf, kernelsOfCall, type ReadyCall } from '../program/ready-call.ts';
import { DeclinedOperation } from './declined-operation.ts';
import { MAILBOX_OPERAND_BYTES } from './mailbox.ts';
import { type PullCall, PullOperation } from './pull-operation.ts';
import { PULL_SLICE_BYTES, planOf } from './shared-offer.ts';
import type { SharedCall } from './shared-operation.ts';
import type { SharedRank } from './shared-rank.ts';
import { type SmallCall, SmallOperation, type SmallRule } from './small-operation.ts';

export class SharedMaker implements CallMaker {
  readonly runner: ProgramRunner;
  readonly #place: SharedRank;

  constructor(place: SharedRank, hasCore: boolean) {
    this.#place = place;
    this.runner = new ProgramRunner(place, hasCore);
  }

  ready(offer: ProgramOffer): ReadyCall {
    const place = this.#place;
    const { mode, text, collective, algorithm, input, output, elementBytes, outputBytes } = offer;
    if (mode === 'declined') {
      const operation = (sequence: number) => new DeclinedOperation(place, text, sequence);
      return { choice: undefined, operation };
    }
    const name = `${collective} ${algorithm}`;
    const common: SharedCall = { digest: digestOf(text), text, name, outputBytes, input, output };
    const { reduce, finish } = kernelsOfCall(place.kernels, offer);
    const sliceBytes = mode === 'small' ? MAILBOX_OPERAND_BYTES : PULL_SLICE_BYTES;
    const choice = { collective, algorithm, channels: 1, sliceBytes };
    if (mode === 'small') {
      const rule = ruleOf(collective, place.rank, offer);
      const operandBytes = collective === 'broadcast' ? outputBytes : offer.inputBytes;
      const call: SmallCall = { ...common, rule, elementBytes, operandBytes, reduce, finish };
      return { choice, operation: (sequence) => new SmallOperation(place, call, sequence) };
    }
    const { root, count, topology } = offer;
    const chosen = { collective, algorithm, topology, root, count, elementBytes };
    const plan = defined(planOf(chosen, place.rank), 'a plan');
    const call: PullCall = { ...common, plan, elementBytes, reduce, finish };
    return { choice, operation: (sequence) => new PullOperation(place, call, sequence) };
  }
}

function ruleOf(
  collective: CollectiveName,
  rank: number,
  { outputBytes, root }: ProgramOffer,
): SmallRule {
  switch (collective) {
    case 'allGather':
      return { kind: 'gather' };
    case 'broadcast':
      return { kind: 'copy', root };
    case 'reduceScatter':
      return { kind: 'reduce', offset: rank * outputBytes, bytes: outputBytes };
    default:
      return { kind: 'reduce', offset: 0, bytes: outputBytes };
  }
}
