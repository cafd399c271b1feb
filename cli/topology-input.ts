/** `--topology`: the name of a built-in topology, or a file. */
import { BUILT_IN_TOPOLOGIES, builtInTopology } from '../timing/topology/built-in.ts';
import type { TopologyFile } from '../timing/topology/file.ts';
import { readTopology } from '../timing/topology/read.ts';
import type { InputFiles } from './predict-inputs.ts';

/** @throws HlsimError for a file that cannot be read, with the line of what is wrong in it */
export async function readTopologyOf(name: string, inputs: InputFiles): Promise<TopologyFile> {
  if (BUILT_IN_TOPOLOGIES.some((known) => known === name)) return builtInTopology(name);
  const what = `a topology, ${BUILT_IN_TOPOLOGIES.join(', ')} or a file`;
  return readTopology(await inputs.text(name, what), name);
}
