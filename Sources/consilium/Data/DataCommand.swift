import ArgumentParser

struct DataCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "data",
        abstract: "Looks at, splits and makes folders of pictures.",
        discussion: """
            A data folder holds a folder for each class, named as the class, with JPEG and PNG pictures in it or in folders \
            within it. What a file is says its content, not its name.

            EXAMPLES:
              consilium data check pictures/
              consilium data split pictures/ parts/ --clients 3 --test 0.2 --seed 1
            """,
        subcommands: [
            DataCheckCommand.self, DataStatsCommand.self, DataSplitCommand.self, DataSynthesizeCommand.self,
        ])
}
