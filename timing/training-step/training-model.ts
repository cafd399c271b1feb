/** A model to be trained, as far as time is concerned: what each layer computes and how much it has to sum. */
import type { ElementType } from '../../collectives/arithmetic.ts';

export interface TrainingLayer {
  readonly name: string;
  /** Elements of its gradients. */
  readonly parameters: number;
  readonly forwardSeconds: number;
  readonly backwardSeconds: number;
  /**
   * Whether its gradients are complete when its backward pass is. Those of weights that earlier layers use
   * too are not before the whole pass has ended.
   */
  readonly overlap: boolean;
}

export interface TrainingModel {
  readonly name: string;
  readonly elementType: ElementType;
  /** From the input to the output. */
  readonly layers: readonly TrainingLayer[];
  /** Elements that are summed besides gradients, with the first bucket: losses and the like. */
  readonly metrics: number;
  /** After the sums are there: the optimizer. */
  readonly updateSeconds: number;
  /** What is taken unless the caller says otherwise. */
  readonly bucketBytes: number;
  readonly overlap: boolean;
}
