from evoplastic.cli import main

main()
