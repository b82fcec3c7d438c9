#!/usr/bin/env node
import { main } from './index.ts'

const { stdin: input, stdout: out, stderr: err, env, argv } = process
process.exitCode = await main({ args: argv.slice(2), env, input, out, err })
input.destroy()
