/**
 * Sees every copy from and into device memory at the moment it is made. In hlsim all DMA, of a NIC or
 * of a device's DMA engine, ends in `TypedArray.prototype.set` on views of the device's one buffer;
 * while a probe is installed that method tells about copies that touch a watched buffer. Production
 * code knows nothing of it.
 */

/** A range of a watched buffer. */
export interface ProbedRange<T> {
  readonly memory: T;
  readonly start: number;
  readonly length: number;
}

export interface ProbeListener<T> {
  /** A copy is about to be made. A side that is no watched memory is its buffer. */
  copy(
    source: ProbedRange<T> | ArrayBufferLike | undefined,
    target: ProbedRange<T> | ArrayBufferLike,
  ): void;
  /** A range is about to be zeroed. `skip`: it is known to be zero, which spares most of a scrub. */
  zeroing(range: ProbedRange<T>): 'zero' | 'skip';
}

interface Installed {
  readonly memories: ReadonlyMap<ArrayBufferLike, unknown>;
  readonly listener: ProbeListener<unknown>;
}

type TypedArraySet = (this: Uint8Array, source: ArrayLike<number>, offset?: number) => void;
type TypedArrayFill = (this: Uint8Array, value: number, start?: number, end?: number) => Uint8Array;
interface WithSet {
  set: TypedArraySet;
  fill: TypedArrayFill;
}

const typedArrayPrototype = Object.getPrototypeOf(Uint8Array.prototype) as WithSet;
const plainSet = typedArrayPrototype.set;
const plainFill = typedArrayPrototype.fill;

let installed: Installed | undefined;

function rangeOf(view: ArrayBufferView, length: number, skip: number) {
  const memory = installed?.memories.get(view.buffer);
  if (memory === undefined) return view.buffer;
  return { memory, start: view.byteOffset + skip, length };
}

const watchedSet: TypedArraySet = function (this: Uint8Array, source, offset = 0) {
  const now = installed;
  if (now !== undefined && source.length > 0) {
    const from = ArrayBuffer.isView(source) ? source : undefined;
    const touchesTarget = now.memories.has(this.buffer);
    if (touchesTarget || (from !== undefined && now.memories.has(from.buffer))) {
      const length = from?.byteLength ?? source.length;
      now.listener.copy(from && rangeOf(from, length, 0), rangeOf(this, length, offset));
    }
  }
  plainSet.call(this, source, offset);
};

const watchedFill: TypedArrayFill = function (this: Uint8Array, value, start, end) {
  if (installed !== undefined && value === 0 && start === undefined) {
    const range = rangeOf(this, this.byteLength, 0);
    if ('memory' in range) {
      const { memory, start: from, length } = range;
      if (installed.listener.zeroing({ memory, start: from, length }) === 'skip') return this;
    }
  }
  return plainFill.call(this, value, start, end);
};

/** Watches the buffers until the returned function is called. One probe at a time. */
export function installMemoryProbe<T>(
  memories: ReadonlyMap<ArrayBufferLike, T>,
  listener: ProbeListener<T>,
): () => void {
  if (installed !== undefined) throw new Error('Expected no other memory probe');
  installed = { memories, listener: listener as ProbeListener<unknown> };
  typedArrayPrototype.set = watchedSet;
  typedArrayPrototype.fill = watchedFill;
  return () => {
    installed = undefined;
    typedArrayPrototype.set = plainSet;
    typedArrayPrototype.fill = plainFill;
  };
}

/** A copy that no probe hears of: what a test does itself. */
export function copyUnseen(target: Uint8Array, source: Uint8Array): void {
  plainSet.call(target, source);
}
