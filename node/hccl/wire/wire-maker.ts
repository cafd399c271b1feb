/** Makes calls ready for wires. */
import { assert, defined } from '../../../common/assert.ts';
import type { ProgramOffer } from '../program/program-collectives.ts';
import { ProgramRunner } from '../program/program-runner.ts';
import { type CallMaker, digestOf, kernelsOfCall, type ReadyCall } from '../program/ready-call.ts';
import { type PushCall, PushOperation } from './push-operation.ts';
import { SmallExchange, type SmallExchangeCall } from './small-exchange.ts';
import { pushPlanOf, WIRE_SLICE_BYTES } from './wire-choice.ts';
import type { WireCall } from './wire-operation.ts';
import type { WireRank } from './wire-rank.ts';
import { SMALL_BYTES } from './wire-stage.ts';

/** A call in words fits a CALL frame. */
const TEXT_MAX = 400;

export class WireMaker implements CallMaker {
  readonly runner: ProgramRunner;
  readonly #place: WireRank;

  constructor(place: WireRank, hasCore: boolean) {
    this.#place = place;
    this.runner = new ProgramRunner(place, hasCore);
  }

  ready(offer: ProgramOffer): ReadyCall {
    const place = this.#place;
    const { mode, collective, algorithm, elementBytes, outputBytes, root } = offer;
    assert(mode !== 'declined', 'Expected a call on wires to need no room at peers');
    const text = offer.text.slice(0, TEXT_MAX);
    const common: WireCall = {
      digest: digestOf(text),
      text,
      name: `${collective} ${algorithm}`,
      outputBytes,
      input: offer.input.offset,
      output: offer.output.offset,
    };
    const { reduce, finish } = kernelsOfCall(place.kernels, offer);
    const sliceBytes = mode === 'small' ? SMALL_BYTES : WIRE_SLICE_BYTES;
    const choice = { collective, algorithm, channels: 1, sliceBytes };
    if (mode === 'small') {
      const isRooted = collective === 'broadcast';
      const rule = isRooted ? { root } : collective === 'allGather' ? 'gather' : 'reduce';
      const operandBytes = isRooted ? outputBytes : offer.inputBytes;
      const call: SmallExchangeCall = {
        ...common,
        ...{ rule, elementBytes, operandBytes, reduce, finish },
      };
      return { choice, operation: (sequence) => new SmallExchange(place, call, sequence) };
    }
    const plan = defined(pushPlanOf(offer, place.rank), 'a plan');
    const call: PushCall = { ...common, plan, elementBytes, reduce, finish };
    return { choice, operation: (sequence) => new PushOperation(place, call, sequence) };
  }
}
