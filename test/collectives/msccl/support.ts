/** MSCCL XML put together from little text. */

/** `type srcbuf srcoff dstbuf dstoff [cnt [depid deps]]`. */
export type StepWords = string;

export interface BlockWords {
  readonly send?: number;
  readonly recv?: number;
  readonly chan?: number;
  readonly steps: readonly StepWords[];
}

export interface GpuWords {
  /** Input, output and scratch chunks. */
  readonly chunks: readonly [number, number, number];
  /** Input and output offset. */
  readonly copies?: readonly (readonly [number, number])[];
  readonly blocks: readonly BlockWords[];
}

/** One element a line: `<algo>` is line 1, the first `<gpu>` line 2, and so on. */
export function algoXml(attributes: string, gpus: readonly GpuWords[]): string {
  const lines = [`<algo ${attributes}>`];
  for (const [id, { chunks, copies = [], blocks }] of gpus.entries()) {
    const [input, output, scratch] = chunks;
    lines.push(
      `  <gpu id="${id}" i_chunks="${input}" o_chunks="${output}" s_chunks="${scratch}">`,
      ...copies.map(([from, to]) => `    <copy i_off="${from}" o_off="${to}"/>`),
    );
    for (const [block, { send = -1, recv = -1, chan = 0, steps }] of blocks.entries()) {
      lines.push(`    <tb id="${block}" send="${send}" recv="${recv}" chan="${chan}">`);
      for (const [index, words] of steps.entries()) lines.push(`      ${stepXml(index, words)}`);
      lines.push('    </tb>');
    }
    lines.push('  </gpu>');
  }
  return [...lines, '</algo>', ''].join('\n');
}

export function stepXml(index: number, words: StepWords): string {
  const [type, srcbuf, srcoff, dstbuf, dstoff, cnt = 1, depid = -1, deps = -1] = words.split(' ');
  return (
    `<step s="${index}" type="${type}" srcbuf="${srcbuf}" srcoff="${srcoff}" dstbuf="${dstbuf}" ` +
    `dstoff="${dstoff}" cnt="${cnt}" depid="${depid}" deps="${deps}" hasdep="0"/>`
  );
}

/** A `nop` that waits for a step of another thread block. */
export const nop = (depid: number, deps: number): StepWords => `nop i -1 o -1 0 ${depid} ${deps}`;

/** Two ranks exchange the vector and add it up, each in a thread block of its own for the adding. */
export const EXCHANGE = algoXml(
  'name="exchange" proto="Simple" nchannels="1" nchunksperloop="2" ngpus="2" coll="allreduce" inplace="1"',
  [0, 1].map((rank) => ({
    chunks: [2, 0, 2],
    blocks: [
      { send: 1 - rank, recv: 1 - rank, steps: ['s i 0 s 0 2', 'r i 0 s 0 2'] },
      { steps: [nop(0, 0), 're s 0 i 0 1 0 1', 're s 1 i 1 1'] },
    ],
  })),
);
