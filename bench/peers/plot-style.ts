/**
 * How each contestant looks in the picture. The colours are those of Okabe and Ito ("Color Universal
 * Design", 2008) or near them, told apart by most colour-blind eyes; the marks differ too.
 */
import type { CurveStyle } from '../plot/marks.ts';
import type { ContestantId } from './contestants.ts';

export const CURVE_STYLES: Readonly<Record<ContestantId, CurveStyle>> = {
  'hlsim-ws': { color: '#0072b2', mark: 'circle', width: 2.6 },
  'hlsim-p2p': { color: '#d55e00', mark: 'square', width: 2.6 },
  'openmpi-tcp': { color: '#009e73', mark: 'triangle', width: 1.5 },
  'openmpi-shm': { color: '#b0609a', mark: 'diamond', width: 1.5 },
  gloo: { color: '#4d4d4d', mark: 'cross', width: 1.5 },
};
