/** Reads MSCCL XML into programs that can be proved, priced, drawn and run like any other. */
import { HlsimError } from '../../common/errors.ts';
import type { CollectiveName } from '../collective.ts';
import type { Program } from '../program.ts';
import type { LabelOf } from '../verifier/finding.ts';
import type { MscclDocument } from './document.ts';
import { geometryOf, type Placement } from './geometry.ts';
import { nopCircle } from './nop-circle.ts';
import { readDocument } from './read-document.ts';
import { readPrograms } from './read-programs.ts';
import { checkReferences } from './references.ts';
import { scratchSizes } from './scratch-sizes.ts';
import { stepLabels } from './step-labels.ts';

/** Size of a text that is read, in bytes, unless the caller says otherwise. */
export const MSCCL_BYTES_MAX = 64 * 2 ** 20;

/** A schedule from elsewhere. */
export interface MscclSchedule {
  /** Name in the file; empty if it has none. */
  readonly name: string;
  /** `custom` if the file names no collective, or one that promises nothing. */
  readonly collective: CollectiveName;
  readonly nranks: number;
  /** By rank; a channel per thread block. Order between steps may come about through messages alone. */
  readonly programs: readonly Program[];
  /** What the file says it may be used for. */
  readonly placements: readonly Placement[];
  /** Whether it works only for counts that make all chunks the same size. */
  readonly equalChunks: boolean;
  /** Why it is wrong whatever its steps do. */
  readonly objection?: string;
  /** Where in the file the steps of the programs are. */
  readonly labelOf: LabelOf;
  /** The file as it is. */
  readonly document: MscclDocument;
}

export interface ReadOptions {
  /** `MSCCL_BYTES_MAX` if absent. */
  readonly maxBytes?: number;
}

/** @throws HlsimError `HLSIM_PROGRAM_UNREADABLE`, with the number of the line in message and fields */
export function readMscclXml(
  text: string,
  { maxBytes = MSCCL_BYTES_MAX }: ReadOptions = {},
): MscclSchedule {
  if (text.length > maxBytes) throw tooBig(text.length, maxBytes);
  const read = readDocument(text);
  checkReferences(read);
  const geometry = geometryOf(read);
  const objection = geometry.objection ?? nopCircle(read);
  const unsized = readPrograms(read, geometry);
  const { collective, nranks } = geometry.shape;
  const sizes = collective === 'custom' ? undefined : scratchSizes(unsized, geometry.scratchChunks);
  const scratch = sizes ?? Array.from({ length: geometry.scratchChunks }, () => 0);
  return {
    name: read.document.attributes.name ?? '',
    collective,
    nranks,
    programs: unsized.map((program) => ({ ...program, scratch })),
    placements: geometry.placements,
    equalChunks: sizes === undefined,
    ...(objection === undefined ? {} : { objection }),
    labelOf: stepLabels(read),
    document: read.document,
  };
}

/** For callers that see how big a file is before they read it. */
export function tooBig(bytes: number, maxBytes: number): HlsimError {
  return new HlsimError(
    'HLSIM_PROGRAM_UNREADABLE',
    `Expected a schedule of at most ${maxBytes} bytes but found ${bytes}`,
    { fields: { bytes, maxBytes } },
  );
}
