/** An operation that was posted to a queue pair: what its completion will say. */
import type { FiCompletionKind } from './fabric.ts';

export interface SendOperationInit {
  readonly kind: FiCompletionKind;
  readonly context: unknown;
  /** `length` of its completion. */
  readonly length: number;
  /** The bounce slot that it occupies. */
  readonly slot?: number;
}

export class SendOperation {
  readonly kind: FiCompletionKind;
  readonly context: unknown;
  readonly length: number;
  readonly slot: number | undefined;

  constructor({ kind, context, length, slot }: SendOperationInit) {
    this.kind = kind;
    this.context = context;
    this.length = length;
    this.slot = slot;
  }
}
