/** Writes MSCCL XML, one element a line, as microsoft/msccl-tools does. */
import type {
  ExtraAttributes,
  MscclCopy,
  MscclDocument,
  MscclGpu,
  MscclStep,
  MscclThreadBlock,
} from './document.ts';

type Values = Readonly<Record<string, string | number | bigint | undefined>>;

/** The text of a file: what `readMscclXml` read, or `mscclDocument` made of programs. */
export function writeMscclXml({ attributes, gpus }: MscclDocument): string {
  const { extra, root, ...known } = attributes;
  const { name, proto, nchannels, nchunksperloop, coll, inplace, outofplace, ...others } = known;
  const values: Values = {
    ...{ name, proto, nchannels, nchunksperloop, ngpus: gpus.length, coll, inplace, outofplace },
    ...others,
    root,
  };
  const lines = [`<algo${attributesText(values, extra)}>`];
  for (const [id, gpu] of gpus.entries()) addGpu(lines, id, gpu);
  lines.push('</algo>', '');
  return lines.join('\n');
}

function addGpu(lines: string[], id: number, gpu: MscclGpu): void {
  const { inputChunks, outputChunks, scratchChunks, copies, threadBlocks, extra } = gpu;
  const values = { id, i_chunks: inputChunks, o_chunks: outputChunks, s_chunks: scratchChunks };
  lines.push(`  <gpu${attributesText(values, extra)}>`);
  for (const copy of copies) lines.push(`    ${copyText(copy)}`);
  for (const [index, threadBlock] of threadBlocks.entries()) {
    addThreadBlock(lines, index, threadBlock);
  }
  lines.push('  </gpu>');
}

function copyText({ inputOffset, outputOffset, cnt, extra }: MscclCopy): string {
  return `<copy${attributesText({ i_off: inputOffset, o_off: outputOffset, cnt }, extra)}/>`;
}

function addThreadBlock(lines: string[], id: number, threadBlock: MscclThreadBlock): void {
  const { send, recv, chan, steps, extra } = threadBlock;
  lines.push(`    <tb${attributesText({ id, send, recv, chan }, extra)}>`);
  for (const [index, step] of steps.entries()) lines.push(`      ${stepText(index, step)}`);
  lines.push('    </tb>');
}

function stepText(index: number, step: MscclStep): string {
  const { type, srcbuf, srcoff, dstbuf, dstoff, cnt, depid, deps, hasdep, extra } = step;
  const values = { s: index, type, srcbuf, srcoff, dstbuf, dstoff, cnt, depid, deps, hasdep };
  return `<step${attributesText(values, extra)}/>`;
}

function attributesText(values: Values, extra: ExtraAttributes = {}): string {
  return Object.entries({ ...values, ...extra })
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => ` ${name}="${escaped(String(value))}"`)
    .join('');
}

/** What an attribute cannot have as it is; line ends and tabs, which readers may take for spaces. */
function escaped(text: string): string {
  return text.replace(/[&<>"\t\n\r]/g, (character) => `&#${character.charCodeAt(0)};`);
}
