// Bundled applications, by the bundlers that the project has anyway. `npm run test:bundlers` has the others.
import { bundlesOf } from './bundlers/programs.ts'

bundlesOf(['esbuild to CommonJS', 'rolldown'])
