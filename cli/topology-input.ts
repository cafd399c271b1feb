/** Topologies by name, or from files that need not be trusted. */
import { BUILT_IN_TOPOLOGIES, builtInTopology } from '../timing/topology/built-in.ts';
import type { TopologyFile } from '../timing/topology/file.ts';
import { readTopology, TOPOLOGY_FILE_BYTES_MAX } from '../timing/topology/read.ts';
import type { InputFiles } from './predict-inputs.ts';

/**
 * A built-in topology, or what is in the file of that path. A name that is built in is that, whatever files
 * there are: `./hls2` is the file.
 *
 * @throws HlsimError `HLSIM_TOPOLOGY_UNREADABLE`, with the line of what is wrong in a file
 */
export async function readTopologyOf(name: string, inputs: InputFiles): Promise<TopologyFile> {
  if (BUILT_IN_TOPOLOGIES.some((known) => known === name)) return builtInTopology(name);
  const what = `one of ${BUILT_IN_TOPOLOGIES.join(', ')}, or a topology file`;
  const limits = { bytesMax: TOPOLOGY_FILE_BYTES_MAX, code: 'HLSIM_TOPOLOGY_UNREADABLE' } as const;
  return readTopology(await inputs.text(name, what, limits), name);
}
