// Bundlers that are not packages of this project: `npm run test:bundlers`.
import { bundlesOf } from './programs.ts'

bundlesOf(['esbuild to a module', 'webpack', 'rollup', 'vite', 'ncc'])
