import Glibc

exit(LeanTool.run(CommandLine.arguments))
