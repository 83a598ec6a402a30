"""What can be said of the figures without any server: python3 -m unittest discover -s benches/peers/unit -t benches/peers"""
