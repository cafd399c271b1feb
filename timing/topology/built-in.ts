/** The topologies that come with hlsim: files like any other, read by the same reader. */
import { HlsimError } from '../../common/errors.ts';
import { DL1 } from './dl1.ts';
import type { TopologyFile } from './file.ts';
import { FLAT } from './flat.ts';
import { HLS1 } from './hls1.ts';
import { HLS2 } from './hls2.ts';
import { HLS3 } from './hls3.ts';
import { MACHINE } from './machine.ts';
import { readTopology } from './read.ts';

const TEXTS = {
  hls1: HLS1,
  dl1: DL1,
  hls2: HLS2,
  hls3: HLS3,
  flat: FLAT,
  machine: MACHINE,
} as const;

export type BuiltInTopology = keyof typeof TEXTS;
export const BUILT_IN_TOPOLOGIES = Object.keys(TEXTS) as readonly BuiltInTopology[];

/** @throws HlsimError `HLSIM_USAGE` for a name that there is not */
export function builtInTopology(name: string): TopologyFile {
  return readTopology(builtInTopologyText(name), name);
}

/** Its YAML, to begin a file of one's own with. */
export function builtInTopologyText(name: string): string {
  const known = BUILT_IN_TOPOLOGIES.find((one) => one === name);
  if (known !== undefined) return TEXTS[known];
  throw new HlsimError(
    'HLSIM_USAGE',
    `Expected one of the topologies ${BUILT_IN_TOPOLOGIES.join(', ')} but found ${JSON.stringify(name)}`,
  );
}
