/**
 * Device memory that is used again by the next run: the pages of a fresh one cost more to map than the
 * simulation itself. A memory goes back clean, or not at all.
 */

/** By size in pages. */
const pool = new Map<number, WebAssembly.Memory[]>();

/** Makes devices with recycled memory: `make` calls `new WebAssembly.Memory` through the pool. */
export function withPooledMemory<T>(make: () => T): T {
  const fresh = WebAssembly.Memory;
  WebAssembly.Memory = new Proxy(fresh, {
    construct: (target, [descriptor]: [WebAssembly.MemoryDescriptor]) =>
      pool.get(descriptor.initial)?.pop() ?? new target(descriptor),
  });
  try {
    return make();
  } finally {
    WebAssembly.Memory = fresh;
  }
}

const PAGE_BYTES = 64 * 1024;

/** Takes a memory back for the next run. Pages that are not clean any more are cleaned. */
export function recycleMemory(memory: WebAssembly.Memory, dirtyPages: Iterable<number>): void {
  for (const page of dirtyPages) {
    new Uint8Array(memory.buffer, page * PAGE_BYTES, PAGE_BYTES).fill(0);
  }
  const pages = memory.buffer.byteLength / PAGE_BYTES;
  const free = pool.get(pages) ?? [];
  free.push(memory);
  pool.set(pages, free);
}
