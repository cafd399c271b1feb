/** Reads the elements of an MSCCL XML file into a `MscclDocument`; what they mean is not looked at. */
import { Attributes, INTEGER_MAX } from './attributes.ts';
import {
  BUFFERS,
  type MscclAttributes,
  type MscclCopy,
  type MscclDocument,
  type MscclGpu,
  type MscclStep,
  type MscclThreadBlock,
  namesDestination,
  namesSource,
  STEP_TYPES,
} from './document.ts';
import { type Element, readElements } from './elements.ts';
import { present } from './present.ts';
import { quoted, unreadable } from './unreadable.ts';

/** Bounds of what is read, far above any file known. */
const RANKS_MAX = 4096;
const THREAD_BLOCKS_MAX = 4096;
const CHANNELS_MAX = 4096;
/** Chunks of one buffer. */
const CHUNKS_MAX = 1 << 20;
/** Steps, and copies, of all ranks together. */
const STEPS_MAX = 1 << 20;

/** Chunks that all steps work on: how long it takes to execute them depends on it. */
const WORK_MAX = 2 ** 26;

/** What was read, and on which line each of its elements began. */
export interface ReadDocument {
  readonly document: MscclDocument;
  readonly lineOf: (element: object) => number;
}

/** @throws HlsimError `HLSIM_PROGRAM_UNREADABLE` with the line that is wrong */
export function readDocument(text: string): ReadDocument {
  const reader = new DocumentReader();
  readElements(text, reader);
  return reader.result();
}

interface OpenAlgo {
  readonly line: number;
  readonly attributes: MscclAttributes;
  readonly ngpus: number | undefined;
}

interface OpenGpu {
  readonly line: number;
  readonly fields: Omit<MscclGpu, 'copies' | 'threadBlocks'>;
  readonly copies: MscclCopy[];
  readonly threadBlocks: Map<number, MscclThreadBlock>;
}

class DocumentReader {
  readonly #lines = new WeakMap<object, number>();
  readonly #gpus = new Map<number, OpenGpu>();
  readonly #path: string[] = [];
  #algo: OpenAlgo | undefined;
  #gpu: OpenGpu | undefined;
  #steps: MscclStep[] = [];
  #total = 0;
  #work = 0;

  open(element: Element): void {
    const parent = this.#path.at(-1);
    this.#path.push(element.name);
    const place = `${parent ?? ''}/${element.name}`;
    if (place === '/algo') this.#openAlgo(element);
    else if (place === 'algo/gpu') this.#openGpu(element);
    else if (place === 'gpu/tb') this.#openThreadBlock(element);
    else if (place === 'gpu/copy') this.#openCopy(element);
    else if (place === 'tb/step') this.#openStep(element);
    else {
      const where = parent === undefined ? 'as the first element' : `in <${parent}>`;
      throw unreadable(element.line, `Expected no element ${quoted(element.name)} ${where}`);
    }
  }

  close(): void {
    this.#path.pop();
  }

  result(): ReadDocument {
    const algo = this.#algo;
    if (algo === undefined) throw unreadable(1, 'Expected <algo> but found nothing');
    const { ngpus = this.#gpus.size } = algo;
    if (ngpus !== this.#gpus.size) {
      throw unreadable(
        algo.line,
        `Expected ${ngpus} <gpu> elements, as ngpus says, but found ${this.#gpus.size}`,
      );
    }
    const gpus = Array.from({ length: ngpus }, (_, id) => this.#gpuOf(id, algo.line));
    const document: MscclDocument = { attributes: algo.attributes, gpus };
    this.#lines.set(document, algo.line);
    return { document, lineOf: (element) => this.#lines.get(element) ?? algo.line };
  }

  #openAlgo(element: Element): void {
    if (this.#algo !== undefined)
      throw unreadable(element.line, 'Expected one <algo> but found two');
    const read = new Attributes(element);
    const ngpus = read.optionalInteger('ngpus', 1, RANKS_MAX);
    const known = {
      name: read.optionalText('name'),
      proto: read.optionalWord('proto', ['Simple', 'LL', 'LL128']),
      nchannels: read.optionalInteger('nchannels', 0, CHANNELS_MAX),
      nchunksperloop: read.integer('nchunksperloop', 1, CHUNKS_MAX),
      coll: read.optionalText('coll'),
      inplace: read.optionalFlag('inplace'),
      outofplace: read.optionalFlag('outofplace'),
      minBytes: read.optionalBytes('minBytes'),
      maxBytes: read.optionalBytes('maxBytes'),
      redop: read.optionalText('redop'),
      nthreadblocks: read.optionalInteger('nthreadblocks', 0),
      maxcount: read.optionalInteger('maxcount', 0),
      root: read.optionalInteger('root', 0, RANKS_MAX - 1),
    };
    const attributes = present<MscclAttributes>({ ...known, extra: read.rest() });
    this.#algo = { attributes, line: element.line, ngpus };
  }

  #openGpu(element: Element): void {
    const read = new Attributes(element);
    const id = read.integer('id', 0, RANKS_MAX - 1);
    if (this.#gpus.has(id))
      throw unreadable(element.line, `Expected gpu ${id} once but found it twice`);
    const known = {
      inputChunks: read.integer('i_chunks', 0, CHUNKS_MAX),
      outputChunks: read.integer('o_chunks', 0, CHUNKS_MAX),
      scratchChunks: read.integer('s_chunks', 0, CHUNKS_MAX),
    };
    const fields = present<OpenGpu['fields']>({ ...known, extra: read.rest() });
    this.#gpu = { line: element.line, fields, copies: [], threadBlocks: new Map() };
    this.#gpus.set(id, this.#gpu);
  }

  #openCopy(element: Element): void {
    this.#count(element);
    const read = new Attributes(element);
    const known = {
      inputOffset: read.integer('i_off', 0, CHUNKS_MAX),
      outputOffset: read.integer('o_off', 0, CHUNKS_MAX),
      cnt: read.optionalInteger('cnt', 1, CHUNKS_MAX),
    };
    const copy = present<MscclCopy>({ ...known, extra: read.rest() });
    this.#addWork(copy.cnt, element);
    this.#lines.set(copy, element.line);
    this.#gpu?.copies.push(copy);
  }

  #openThreadBlock(element: Element): void {
    const read = new Attributes(element);
    const id = read.integer('id', 0, THREAD_BLOCKS_MAX - 1);
    this.#steps = [];
    const known = {
      send: read.integer('send', -1, RANKS_MAX - 1),
      recv: read.integer('recv', -1, RANKS_MAX - 1),
      chan: read.integer('chan', -1, CHANNELS_MAX - 1),
    };
    const fields = { ...known, steps: this.#steps, extra: read.rest() };
    const threadBlock = present<MscclThreadBlock>(fields);
    this.#lines.set(threadBlock, element.line);
    const { threadBlocks } = this.#gpu as OpenGpu;
    if (threadBlocks.has(id)) {
      throw unreadable(element.line, `Expected tb ${id} of the gpu once but found it twice`);
    }
    threadBlocks.set(id, threadBlock);
  }

  #openStep(element: Element): void {
    this.#count(element);
    const read = new Attributes(element);
    const index = read.integer('s', 0);
    if (index !== this.#steps.length) {
      throw unreadable(
        element.line,
        `Expected s of <step> to be ${this.#steps.length}, the next number, but found ${index}`,
      );
    }
    const type = read.word('type', STEP_TYPES);
    const src = readPlace(read, 'src', namesSource(type));
    const dst = readPlace(read, 'dst', namesDestination(type));
    const step = present<MscclStep>({
      type,
      srcbuf: src.buffer,
      srcoff: src.offset,
      dstbuf: dst.buffer,
      dstoff: dst.offset,
      cnt: type === 'nop' ? read.optionalInteger('cnt', 0) : read.integer('cnt', 1, CHUNKS_MAX),
      depid: read.optionalInteger('depid', -1),
      deps: read.optionalInteger('deps', -1),
      hasdep: read.optionalFlag('hasdep'),
      extra: read.rest(),
    });
    if (type !== 'nop') this.#addWork(step.cnt, element);
    this.#lines.set(step, element.line);
    this.#steps.push(step);
  }

  #count({ line }: Element): void {
    this.#total++;
    if (this.#total > STEPS_MAX)
      throw unreadable(line, `Expected at most ${STEPS_MAX} steps in all`);
  }

  #addWork(chunks = 1, { line }: Element): void {
    this.#work += chunks;
    if (this.#work > WORK_MAX)
      throw unreadable(line, `Expected all steps to work on at most ${WORK_MAX} chunks in all`);
  }

  #gpuOf(id: number, line: number): MscclGpu {
    const open = this.#gpus.get(id);
    if (open === undefined)
      throw unreadable(line, `Expected gpus 0 to ${this.#gpus.size - 1} but found no gpu ${id}`);
    const { fields, copies, threadBlocks } = open;
    const inOrder = Array.from({ length: threadBlocks.size }, (_, index) => {
      const found = threadBlocks.get(index);
      if (found !== undefined) return found;
      throw unreadable(
        open.line,
        `Expected tbs 0 to ${threadBlocks.size - 1} of gpu ${id} but found no tb ${index}`,
      );
    });
    const gpu: MscclGpu = { ...fields, copies, threadBlocks: inOrder };
    this.#lines.set(gpu, open.line);
    return gpu;
  }
}

/** `srcbuf` and `srcoff`, or `dstbuf` and `dstoff`, which not every type of step needs. */
function readPlace(read: Attributes, end: 'src' | 'dst', isNeeded: boolean) {
  const [buffer, offset] = [`${end}buf`, `${end}off`];
  if (isNeeded) {
    return { buffer: read.word(buffer, BUFFERS), offset: read.integer(offset, 0, CHUNKS_MAX) };
  }
  return {
    buffer: read.optionalWord(buffer, BUFFERS),
    offset: read.optionalInteger(offset, -1, INTEGER_MAX),
  };
}
