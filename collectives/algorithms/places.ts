/** Short words for places, so that a transfer fits on a line. */
import type { Place } from '../schedule.ts';

export const input = (chunk: number): Place => ({ buffer: 'input', chunk });
export const output = (chunk: number): Place => ({ buffer: 'output', chunk });
export const scratch = (chunk: number): Place => ({ buffer: 'scratch', chunk });
